// The roof: the measured peak speed of this machine. Benchmarks give their speed as a share of it. The name
// comes from Williams, Waterman & Patterson 2009, "Roofline".
//
// Arithmetic is measured with a loop of fused multiply-adds on registers only. Two units with a latency of
// four cycles need eight independent sums; the loop has twelve. If the CPU has an instruction for products of
// bf16, a second loop measures it. Memory is measured with McCalpin's triad a = b + s c on arrays much larger
// than any cache, counted as 12 bytes for each element; and with reading only, because generating a token
// reads all weights once.
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kFmaChains = 12;  // the number of independent sums in the loop of fused multiply-adds

struct Roof {
  double fma_gflops = 0;   // GFLOP/s of fused multiply-adds, all threads
  double bf16_gflops = 0;  // GFLOP/s of products of bf16; 0 if the CPU has no instruction for them
  double triad_gbs = 0;    // GB/s of the triad
  double read_gbs = 0;     // GB/s of reading only
};

// Measures the four speeds three times (about 40 ms each time) and returns the best value of each. A single
// measurement may run while some threads are still asleep, and would be below the true peak. Uses 192 MiB of
// workspace memory (release_workspaces in core/memory.h). A machine's speed changes over time: measure the
// roof before and after the work that you compare with it, and take medians.
Roof best_roof();

}  // namespace inkling
