#include "ops/roof/roof.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/memory.h"
#include "core/parallel.h"
#include "ops/kernels.h"
#include "ops/roof/arithmetic_roof.h"

namespace inkling {

namespace {

constexpr std::int64_t kFloats = std::int64_t{16} << 20;  // floats in each array of the triad: 64 MiB
constexpr std::int64_t kChunk = std::int64_t{1} << 16;
constexpr std::int64_t kFmaIterations = 200'000;  // iterations in a piece of work: half a millisecond
constexpr std::int64_t kTileIterations = 10'000;  // iterations of the loop on AMX in a piece of work
constexpr std::int64_t kPieces = 16;              // pieces of work for each thread

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double gflops_of(std::int64_t (*loop)(float*, std::int64_t) noexcept, std::int64_t iterations) {
  const std::int64_t pieces = kPieces * threads();
  std::vector<std::int64_t> flops(static_cast<std::size_t>(pieces));
  const auto start = std::chrono::steady_clock::now();
  parallel_chunks(pieces, [&](std::int64_t i) {
    float sink = 0.999f;
    flops[static_cast<std::size_t>(i)] = loop(&sink, iterations);
  });
  const double seconds = seconds_since(start);
  double total = 0;
  for (std::int64_t f : flops) total += static_cast<double>(f);
  return total / seconds * 1e-9;
}

// The arrays of the triad. The constructor fills them, so that no measured loop touches a page for the first
// time.
class Arrays {
 public:
  Arrays() : memory_(static_cast<std::size_t>(3 * kFloats) * sizeof(float)) {
    parallel_fill(a(), 3 * kFloats, 1.0f);
  }
  float* a() const { return memory_.floats(); }
  float* b() const { return a() + kFloats; }
  float* c() const { return b() + kFloats; }

 private:
  Workspace memory_;
};

Roof measure(const Arrays& arrays) {
  Roof roof = arithmetic_roof();
  auto start = std::chrono::steady_clock::now();
  parallel_for(kFloats, kChunk, [&](std::int64_t begin, std::int64_t end) {
    kernels().triad(arrays.a() + begin, arrays.b() + begin, arrays.c() + begin, 3.0f, end - begin);
  });
  roof.triad_gbs = 12.0 * static_cast<double>(kFloats) / seconds_since(start) * 1e-9;
  std::vector<float> sums(static_cast<std::size_t>(ceil_div(3 * kFloats, kChunk)));
  start = std::chrono::steady_clock::now();
  parallel_for(3 * kFloats, kChunk, [&](std::int64_t begin, std::int64_t end) {
    sums[static_cast<std::size_t>(begin / kChunk)] = kernels().read_all(arrays.a() + begin, end - begin);
  });
  roof.read_gbs = 12.0 * static_cast<double>(kFloats) / seconds_since(start) * 1e-9;
  return roof;
}

}  // namespace

Roof arithmetic_roof() {
  Roof roof;
  roof.fma_gflops = gflops_of(kernels().fma_loop, kFmaIterations);
  if (kernels().bf16_dot_loop != nullptr) {
    const bool tiles = kernels().isa == Isa::amx;
    roof.bf16_gflops = gflops_of(kernels().bf16_dot_loop, tiles ? kTileIterations : kFmaIterations);
  }
  return roof;
}

Roof best_roof() {
  const Arrays arrays;
  Roof best;
  for (int sample = 0; sample < 3; ++sample) {
    const Roof roof = measure(arrays);
    for (double Roof::*figure : {&Roof::fma_gflops, &Roof::bf16_gflops, &Roof::triad_gbs, &Roof::read_gbs})
      best.*figure = std::max(best.*figure, roof.*figure);
  }
  return best;
}

}  // namespace inkling
