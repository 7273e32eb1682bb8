// The roof: what this machine can do at best, measured, so that every figure can be given as a share of it.
//
// Arithmetic: a loop of fused multiply-adds on registers alone. Twelve independent sums hide the
// instruction's latency of four cycles on two units, with some to spare. Products of bf16 have a loop of
// their own where the CPU has an instruction for them. Memory: McCalpin's triad a = b + s c on arrays far
// larger than any cache, counted as 12 bytes an element, and reading alone, which is what generating a token
// does to the weights (Williams, Waterman & Patterson 2009, "Roofline").
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kFmaChains = 12;  // independent sums of the loop

struct Roof {
  double fma_gflops = 0;   // GFLOP/s, all threads
  double bf16_gflops = 0;  // the same for products of bf16; 0 where they are widened and multiplied as floats
  double triad_gbs = 0;    // GB/s
  double read_gbs = 0;     // GB/s
};

// One short sample of each (about 40 ms), in 192 MiB of workspace (core/memory.h: release_workspaces). The
// machine's speed drifts: call it between what it is to be compared with, and take medians.
Roof measure_roof();
// The best of a few samples: one alone may meet threads that are not awake yet, and a roof is what nothing
// exceeds.
Roof best_roof(int samples = 3);

}  // namespace inkling
