#include "ops/roof.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/memory.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

constexpr std::int64_t kFloats = std::int64_t{16} << 20;  // an array of the triad: 64 MiB, three of them
constexpr std::int64_t kChunk = std::int64_t{1} << 16;
constexpr std::int64_t kFmaIterations = 200'000;  // of one piece of work: about half a millisecond
constexpr std::int64_t kFmaPieces = 16;           // a thread

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double fma_gflops() {
  const std::int64_t pieces = kFmaPieces * threads();
  std::vector<std::int64_t> flops(static_cast<std::size_t>(pieces));
  const auto start = std::chrono::steady_clock::now();
  parallel_chunks(pieces, [&](std::int64_t i) {
    float sink = 0.999f;
    flops[static_cast<std::size_t>(i)] = kernels().fma_loop(&sink, kFmaIterations);
  });
  const double seconds = seconds_since(start);
  double total = 0;
  for (std::int64_t f : flops) total += static_cast<double>(f);
  return total / seconds * 1e-9;
}

}  // namespace

Roof measure_roof() {
  static const Pages memory(static_cast<std::size_t>(3 * kFloats) * sizeof(float));
  float* a = reinterpret_cast<float*>(memory.data());
  float* b = a + kFloats;
  float* c = b + kFloats;
  static const bool touched = (parallel_fill(a, 3 * kFloats, 1.0f), true);
  (void)touched;

  Roof roof;
  roof.fma_gflops = fma_gflops();
  auto start = std::chrono::steady_clock::now();
  parallel_for(kFloats, kChunk, [&](std::int64_t begin, std::int64_t end) {
    kernels().triad(a + begin, b + begin, c + begin, 3.0f, end - begin);
  });
  roof.triad_gbs = 12.0 * static_cast<double>(kFloats) / seconds_since(start) * 1e-9;
  std::vector<float> sums(static_cast<std::size_t>(ceil_div(3 * kFloats, kChunk)));
  start = std::chrono::steady_clock::now();
  parallel_for(3 * kFloats, kChunk, [&](std::int64_t begin, std::int64_t end) {
    sums[static_cast<std::size_t>(begin / kChunk)] = kernels().read_all(a + begin, end - begin);
  });
  roof.read_gbs = 12.0 * static_cast<double>(kFloats) / seconds_since(start) * 1e-9;
  return roof;
}

}  // namespace inkling
