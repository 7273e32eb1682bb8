// inkling_bench: kernels, ops and whole training steps as shares of what this machine can do, beside other
// libraries.
// --benchmark_filter=REGEX picks rows, --benchmark_out=FILE --benchmark_out_format=json writes them down.
#include <benchmark/benchmark.h>

#include <iostream>
#include <vector>

#include "bench/rows.h"
#include "core/cpu.h"
#include "core/parallel.h"
#include "ops/kernels.h"
#include "ops/roof.h"

int main(int argc, char** argv) {
  using namespace inkling;
  std::vector<char*> arguments(argv, argv + argc);
  char tabular[] = "--benchmark_counters_tabular=true";
  arguments.insert(arguments.begin() + 1, tabular);
  int count = static_cast<int>(arguments.size());
  bench::add_gemm_rows();
  bench::add_op_rows();
  bench::add_model_rows();
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  const Roof roof = measure_roof();
  std::cout << cpu().model << ", " << threads() << " threads, " << name(kernels().isa)
            << "; now: " << roof.fma_gflops << " GFLOP/s of fused multiply-adds, triad " << roof.triad_gbs
            << " GB/s, reading " << roof.read_gbs << " GB/s\n"
            << "A figure is the median of 9 rounds; %roof is measured in the same round; x peer = its time / "
               "ours.\n";
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
