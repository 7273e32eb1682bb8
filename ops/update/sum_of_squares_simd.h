// The sum of squares, vectorised. ops/update/sum_of_squares.h explains its precision.
#pragma once

#include "ops/simd/simd.h"
#include "ops/update/sum_of_squares.h"

namespace inkling::simd {

template <class V>
double sum_of_squares(const float* x, std::int64_t n) noexcept {
  constexpr std::int64_t kBlock = 4096, W = V::kLanes;
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = n - begin < kBlock ? n : begin + kBlock;
    // Four partial sums, because each fma waits for the previous fma into the same sum.
    V sums[4] = {V(0.0f), V(0.0f), V(0.0f), V(0.0f)};
    std::int64_t i = begin;
    for (; i + 4 * W <= end; i += 4 * W) {
      for (std::int64_t k = 0; k < 4; ++k) {
        const V v = load<V>(x + i + k * W);
        sums[k] = fma(v, v, sums[k]);
      }
    }
    for (; i < end; i += W) {
      const V v = load_n<V>(x + i, end - i < W ? end - i : W);
      sums[0] = fma(v, v, sums[0]);
    }
    total += static_cast<double>(sum((sums[0] + sums[1]) + (sums[2] + sums[3])));
  }
  return total;
}

}  // namespace inkling::simd
