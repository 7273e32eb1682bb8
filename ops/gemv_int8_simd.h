// f32 times 8-bit weights, a panel of 64 outputs at a time. The mathematics and the layout are in
// ops/gemv_int8.h.
#pragma once

#include "ops/gemv_int8.h"
#include "ops/simd.h"

namespace inkling::simd {

// One panel of W and what belongs to its outputs; bias may be nullptr. `columns` of its 64 are real.
template <class V>
struct Int8Panel {
  const std::int8_t* q;
  const float* scales;
  const float* bias;
  std::int64_t columns;
};

// ROWS rows of y and COLUMNS registers of a panel's outputs, the first of them being `column`.
template <class V, int ROWS, int COLUMNS>
void int8_tile(float* y, const float* addend, std::int64_t ldy, const float* x, std::int64_t K,
               const Int8Panel<V>& panel, std::int64_t column) {
  constexpr std::int64_t W = V::kLanes;
  V sums[ROWS][COLUMNS];
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 16
    for (int j = 0; j < COLUMNS; ++j) sums[m][j] = V(0.0f);
  }
  const std::int8_t* q = panel.q + column;
  for (std::int64_t k = 0; k < K; ++k, q += kInt8Panel) {
    prefetch_stream<V>(q);
    V w[COLUMNS];
#pragma GCC unroll 16
    for (int j = 0; j < COLUMNS; ++j) w[j] = load<V>(q + j * W);
#pragma GCC unroll 16
    for (int m = 0; m < ROWS; ++m) {
      const V x_k(x[m * K + k]);
#pragma GCC unroll 16
      for (int j = 0; j < COLUMNS; ++j) sums[m][j] = fma(x_k, w[j], sums[m][j]);
    }
  }
  for (int j = 0; j < COLUMNS; ++j) {
    const std::int64_t n = column + j * W, left = panel.columns - n, lanes = left < W ? left : W;
    if (lanes <= 0) return;
    const V scale = load_n<V>(panel.scales + n, lanes);
    const V bias = panel.bias == nullptr ? V(0.0f) : load_n<V>(panel.bias + n, lanes);
    for (int m = 0; m < ROWS; ++m) {
      V result = sums[m][j] * scale + bias;
      if (addend != nullptr) result += load_n<V>(addend + m * ldy + n, lanes);
      store_n(y + m * ldy + n, result, lanes);
    }
  }
}

// As many blocks of ROWS rows as there are from row m on; the next row.
template <class V, int ROWS, int COLUMNS>
std::int64_t int8_rows(float* y, const float* addend, std::int64_t ldy, const float* x, std::int64_t m,
                       std::int64_t M, std::int64_t K, const Int8Panel<V>& panel) {
  for (; m + ROWS <= M; m += ROWS) {
    const float* more = addend == nullptr ? nullptr : addend + m * ldy;
    for (std::int64_t column = 0; column < panel.columns; column += COLUMNS * V::kLanes) {
      int8_tile<V, ROWS, COLUMNS>(y + m * ldy, more, ldy, x + m * K, K, panel, column);
    }
  }
  return m;
}

// y (M, columns), rows ldy apart, = x (M,K) times the panel (+ bias) (+ addend, rows ldy apart, too)
template <class V>
void gemv_int8(float* y, const float* addend, std::int64_t ldy, const float* x, const std::int8_t* q,
               const float* scales, const float* bias, std::int64_t M, std::int64_t columns,
               std::int64_t K) noexcept {
  const Int8Panel<V> panel{q, scales, bias, columns};
  std::int64_t m = 0;
  if constexpr (V::kLanes == 16) {  // 32 registers: up to 24 sums
    m = int8_rows<V, 12, 2>(y, addend, ldy, x, m, M, K, panel);
    m = int8_rows<V, 6, 4>(y, addend, ldy, x, m, M, K, panel);
    m = int8_rows<V, 4, 4>(y, addend, ldy, x, m, M, K, panel);
    m = int8_rows<V, 2, 4>(y, addend, ldy, x, m, M, K, panel);
    int8_rows<V, 1, 4>(y, addend, ldy, x, m, M, K, panel);
  } else {  // 16 registers: 8 sums and half a cache line's, or all of it for one row
    m = int8_rows<V, 2, 4>(y, addend, ldy, x, m, M, K, panel);
    int8_rows<V, 1, 8>(y, addend, ldy, x, m, M, K, panel);
  }
}

}  // namespace inkling::simd
