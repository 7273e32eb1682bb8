// The sum of squares, vectorised. ops/update/sum_of_squares.h explains its precision.
#pragma once

#include "ops/simd/lanes_simd.h"
#include "ops/update/sum_of_squares.h"

namespace inkling::simd {

template <class V>
double sum_of_squares(const float* x, std::int64_t n) noexcept {
  constexpr std::int64_t kBlock = 4096, W = V::kLanes;
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = n - begin < kBlock ? n : begin + kBlock;
    // Four times 16 partial sums, because each fma waits for the previous fma into the same sum.
    RowSum<V> sums[4];
    std::int64_t i = begin;
    for (; i + 4 * kRowLanes <= end; i += 4 * kRowLanes) {
      for (std::int64_t k = 0; k < 4; ++k) {
#pragma GCC unroll 4
        for (int p = 0; p < RowSum<V>::kParts; ++p) {
          const V v = load<V>(x + i + k * kRowLanes + p * W);
          sums[k][p] = fma(v, v, sums[k][p]);
        }
      }
    }
    for_row<V>(end - i, [&](std::int64_t k, int part, auto lanes) {
      const V v = lanes.load(x + i + k);
      sums[0][part] = fma(v, v, sums[0][part]);
    });
    total += static_cast<double>(sum((sums[0] + sums[1]) + (sums[2] + sums[3])));
  }
  return total;
}

}  // namespace inkling::simd
