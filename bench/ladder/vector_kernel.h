// The micro-kernel of rungs 4 and 5: a tile of 6 rows and 2 SIMD registers.
//
// A register holds W numbers: 4 with SSE2 or NEON, 8 with AVX2, 16 with AVX-512. One fma instruction adds W
// products to W sums. Its result is ready after four cycles, but two fmas can start in every cycle. So a
// kernel needs at least eight sums that do not wait for each other. This kernel has 12. In each step of k, 2
// loads of B and 6 of A feed 12 fmas.
//
// Everything is in an unnamed namespace, because the rungs are compiled for the instruction set of this
// machine. So no other file can use their copy of a function.
#pragma once

#include <xsimd/xsimd.hpp>

#include "bench/ladder/packing.h"

namespace inkling::ladder {

namespace {

struct VectorKernel {
  using Batch = xsimd::batch<float>;  // the widest register of the instruction set that the compiler is told
  static constexpr std::int64_t W = Batch::size, MR = 6, NR = 2 * W;

  static void run(float* tile, const float* a, const float* b, std::int64_t K) {
    Batch sum[MR][2];
    for (auto& row : sum) row[0] = row[1] = Batch(0.0f);
    for (std::int64_t k = 0; k < K; ++k, a += MR, b += NR) {
      const Batch b0 = Batch::load_unaligned(b), b1 = Batch::load_unaligned(b + W);
#pragma GCC unroll 6  // so that the sums become registers
      for (std::int64_t i = 0; i < MR; ++i) {
        const Batch ai(a[i]);
        sum[i][0] = xsimd::fma(ai, b0, sum[i][0]);
        sum[i][1] = xsimd::fma(ai, b1, sum[i][1]);
      }
    }
    for (std::int64_t i = 0; i < MR; ++i) {
      sum[i][0].store_unaligned(tile + i * NR);
      sum[i][1].store_unaligned(tile + i * NR + W);
    }
  }
};

}  // namespace

}  // namespace inkling::ladder
