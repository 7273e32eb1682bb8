// Sums over the rows of a matrix, vectorised along them. ops/linear.h says what for.
#pragma once

#include "ops/simd.h"

namespace inkling::simd {

// sums(columns) = sum over rows of x (+ sums): REGISTERS registers side by side go down the rows together.
template <class V, int REGISTERS>
void column_sums_side_by_side(float* sums, const float* x, std::int64_t ldx, std::int64_t rows,
                              bool accumulate) {
  constexpr std::int64_t W = V::kLanes;
  V total[REGISTERS];
  for (int i = 0; i < REGISTERS; ++i) total[i] = accumulate ? load<V>(sums + i * W) : V(0.0f);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (int i = 0; i < REGISTERS; ++i) total[i] += load<V>(x + r * ldx + i * W);
  }
  for (int i = 0; i < REGISTERS; ++i) store(sums + i * W, total[i]);
}

template <class V>
void column_sums(float* sums, const float* x, std::int64_t ldx, std::int64_t rows, std::int64_t columns,
                 bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  std::int64_t c = 0;
  for (; c + 4 * W <= columns; c += 4 * W)
    column_sums_side_by_side<V, 4>(sums + c, x + c, ldx, rows, accumulate);
  for (; c + W <= columns; c += W) column_sums_side_by_side<V, 1>(sums + c, x + c, ldx, rows, accumulate);
  if (c == columns) return;
  const std::int64_t tail = columns - c;
  V total = accumulate ? load_n<V>(sums + c, tail) : V(0.0f);
  for (std::int64_t r = 0; r < rows; ++r) total += load_n<V>(x + r * ldx + c, tail);
  store_n(sums + c, total, tail);
}

}  // namespace inkling::simd
