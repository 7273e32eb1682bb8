// The roof: the measured peak speed of this machine, so that every benchmark can be given as a share of it
// (Williams, Waterman & Patterson 2009, "Roofline").
//
// Arithmetic: a loop of fused multiply-adds on registers only. Two units with a latency of four cycles need
// eight independent sums; the loop has twelve. Where the CPU has an instruction for products of bf16, they
// have a loop of their own. Memory: McCalpin's triad a = b + s c on arrays far larger than any cache, counted
// as 12 bytes an element; and reading only, because generating a token reads all weights once.
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kFmaChains = 12;  // independent sums of the loop

struct Roof {
  double fma_gflops = 0;   // GFLOP/s, all threads
  double bf16_gflops = 0;  // the same for products of bf16; 0 if the CPU has no instruction for them
  double triad_gbs = 0;    // GB/s
  double read_gbs = 0;     // GB/s
};

// The best of three samples of each figure (about 40 ms a sample). A single sample may run while some threads
// are still asleep, and would be below the true peak. Uses 192 MiB of workspace memory (release_workspaces in
// core/memory.h). A machine's speed changes over time: measure the roof before and after the work that you
// compare with it, and take medians.
Roof best_roof();

}  // namespace inkling
