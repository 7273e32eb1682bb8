// inkling_bench: kernels, ops and whole training steps as shares of what this machine can do, beside other
// libraries.
//
//   inkling_bench [--filter=REGEX] [--json=FILE] [--python=PROGRAM] [--text=FILE]
//
// --filter chooses rows by name, --json writes the figures to a file, --python names an interpreter with
// PyTorch and tiktoken, --text adds the row of encoding this text.
#include <fstream>
#include <iostream>

#include "bench/harness.h"
#include "bench/peers.h"
#include "bench/rows.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"
#include "ops/roof/roof.h"

namespace {

using namespace inkling;

struct Flags {
  std::string filter, json, python = "python3", text;
};

Flags parse(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto take = [&](const std::string& flag, std::string& value) {
      if (!argument.starts_with(flag + "=")) return false;
      value = argument.substr(flag.size() + 1);
      return true;
    };
    if (take("--filter", flags.filter) || take("--json", flags.json) || take("--python", flags.python) ||
        take("--text", flags.text))
      continue;
    throw UsageError(str("unknown argument ", argument,
                         ", expected --filter=REGEX, --json=FILE, --python=PROGRAM or --text=FILE"));
  }
  return flags;
}

void run(const Flags& flags) {
  bench::use_python(flags.python);
  bench::add_gemm_rows();
  bench::add_op_rows();
  bench::add_model_rows();
  bench::add_tokenizer_rows(flags.text);
  bench::add_graph_sections();
  bench::keep_matching(flags.filter);
  std::ofstream file;  // opened before the run, so that a wrong path is noticed at once
  if (!flags.json.empty()) file.open(flags.json);
  if (!file) fail(flags.json, ": cannot write");
  const Roof roof = best_roof();
  std::cout << cpu().model << ", " << threads() << " threads, " << name(kernels().isa)
            << "; now: " << roof.fma_gflops << " GFLOP/s of fused multiply-adds, ";
  if (roof.bf16_gflops > 0) std::cout << roof.bf16_gflops << " of products in bf16, ";
  std::cout << "triad " << roof.triad_gbs << " GB/s, reading " << roof.read_gbs << " GB/s\n"
            << "A figure is the median over rounds; the roof is measured in the same round; x peer = its "
               "time / ours.\n\n";
  nlohmann::ordered_json result = {{"cpu", cpu().model},
                                   {"threads", threads()},
                                   {"kernels", name(kernels().isa)},
                                   {"roof",
                                    {{"fma_gflops", roof.fma_gflops},
                                     {"bf16_gflops", roof.bf16_gflops},
                                     {"triad_gbs", roof.triad_gbs},
                                     {"read_gbs", roof.read_gbs}}},
                                   {"peers", bench::peer_names()}};
  result.update(bench::run_all(bench::peer_names()));
  if (flags.json.empty()) return;
  file << result.dump(2) << "\n";
  if (!file.flush()) fail(flags.json, ": cannot write");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "inkling_bench: " << error.what() << std::endl;
    return dynamic_cast<const UsageError*>(&error) != nullptr ? 2 : 1;
  }
}
