// Y = X W^T for a few rows of X, as fast as W can be read from memory. gemm() calls it (ops/gemm/gemm.h).
#pragma once

#include "ops/gemm/operands.h"
#include "ops/simd/lanes_simd.h"

namespace inkling::simd {

// Computes ROWS x COLUMNS numbers C(m, n), from ROWS rows of x and COLUMNS rows of w. Each number is a sum
// along a row, with 16 partial sums.
template <class V, int ROWS, int COLUMNS>
void gemv_tile(const MatrixOut<float> C, const float* x, std::int64_t ldx, const float* w, std::int64_t ldw,
               std::int64_t K) {
  RowSum<V> sums[ROWS][COLUMNS];
  // Each step prefetches twice. Into L2: a piece of the next rows of w, in the order of memory. Into L1: a
  // piece of the current rows, because the hardware's prefetching cannot follow four streams.
  const float* next = w + COLUMNS * ldw;
  constexpr std::int64_t kNear = 192;  // prefetch this many floats ahead in a row
  for_row<V>(
      K, [&](std::int64_t k, int part, auto lanes) __attribute__((always_inline)) {
        for (int n = 0; part == 0 && n < COLUMNS; ++n) prefetch_second<V>(next + COLUMNS * k + n * kRowLanes);
        for (int n = 0; part == 0 && n < COLUMNS; ++n) prefetch_first<V>(w + n * ldw + k + kNear);
        V w_k[COLUMNS];
        for (int n = 0; n < COLUMNS; ++n) w_k[n] = lanes.load(w + n * ldw + k);
        for (int m = 0; m < ROWS; ++m) {
          const V x_k = lanes.load(x + m * ldx + k);
          for (int n = 0; n < COLUMNS; ++n) sums[m][n][part] = fma(x_k, w_k[n], sums[m][n][part]);
        }
      });
  for (int m = 0; m < ROWS; ++m) {
    for (int n = 0; n < COLUMNS; ++n) {
      float c = sum(sums[m][n]);
      if (C.bias != nullptr) c += C.bias[n];
      if (C.addend != nullptr) c += C.addend[m * C.ld + n];
      C.data[m * C.ld + n] = c;
    }
  }
}

// The rows and columns of a tile when X has several rows, so that its sums fit into the registers.
template <class V>
struct GemvTile {
  static constexpr int rows = V::kLanes == 16 ? 4 : 2, columns = V::kLanes == 16 ? 4 : 2;
};

// Computes COLUMNS columns of C, from as many rows of W that start at w.
template <class V, int COLUMNS>
void gemv_columns(const MatrixOut<float> C, MatrixIn<float> X, const float* w, std::int64_t ldw,
                  std::int64_t M, std::int64_t K) {
  constexpr int R = GemvTile<V>::rows, S = GemvTile<V>::columns < COLUMNS ? GemvTile<V>::columns : COLUMNS;
  const float* x = X.data;
  const std::int64_t ldx = X.row_stride;
  std::int64_t m = 0;
  for (; m + R <= M; m += R) {
    for (int n = 0; n < COLUMNS; n += S) {
      gemv_tile<V, R, S>(C.from(m, n), x + m * ldx, ldx, w + n * ldw, ldw, K);
    }
  }
  for (; m < M; ++m) gemv_tile<V, 1, COLUMNS>(C.from(m, 0), x + m * ldx, ldx, w, ldw, K);
}

template <class V>
void gemv(const MatrixOut<float>& C, MatrixIn<float> X, MatrixIn<float> W, ProductSize size) noexcept {
  const auto [M, N, K] = size;
  const std::int64_t ldw = W.row_stride;
  std::int64_t n = 0;
  for (; n + 4 <= N; n += 4) gemv_columns<V, 4>(C.from(0, n), X, W.data + n * ldw, ldw, M, K);
  for (; n < N; ++n) gemv_columns<V, 1>(C.from(0, n), X, W.data + n * ldw, ldw, M, K);
}

}  // namespace inkling::simd
