// f32 times 8-bit weights, a panel of 64 outputs at a time. The mathematics and the layout are in
// ops/gemm/gemv_int8.h.
//
// A 32-bit lane holds four weights. A shift and a mask move one weight into the upper 8 bits, which gives the
// weight times 2^24. A float holds this number exactly. To correct the factor, x is multiplied by 2^-24.
#pragma once

#include "ops/gemm/gemv_int8.h"
#include "ops/simd/simd.h"

namespace inkling::simd {

// Scales and stores a register of finished sums: outputs from `column` on of row m of Y.
template <class V>
void finish_int8(const MatrixOut<float>& Y, V sums, const Int8Panel& panel, std::int64_t m,
                 std::int64_t column) {
  const std::int64_t left = panel.columns - column, lanes = left < V::kLanes ? left : V::kLanes;
  if (lanes <= 0) return;
  const std::int64_t at = m * Y.ld + column;
  const V bias = Y.bias == nullptr ? V(0.0f) : load_n<V>(Y.bias + column, lanes);
  V result = sums * load_n<V>(panel.scales + column, lanes) + bias;
  if (Y.addend != nullptr) result += load_n<V>(Y.addend + at, lanes);
  store_n(Y.data + at, result, lanes);
}

// Prepares a row of X (K) for the kernel: floats, multiplied by 2^-24 and padded with zeros.
template <class V>
void int8_floats(std::byte* out, const float* x, std::int64_t K) noexcept {
  constexpr float kDown = 0x1p-24f;
  auto* floats = reinterpret_cast<float*>(out);
  std::int64_t k = 0;
  for (; k + V::kLanes <= K; k += V::kLanes) store(floats + k, load<V>(x + k) * V(kDown));
  for (; k < K; ++k) floats[k] = x[k] * kDown;
  for (; k % kInt8Quad != 0; ++k) floats[k] = 0.0f;
}

// ROWS rows of Y and COLUMNS registers of a panel's outputs, starting with output `column`. Rows of x are
// `stride` floats apart.
template <class V, int ROWS, int COLUMNS>
void int8_tile(const MatrixOut<float>& Y, const float* x, std::int64_t stride, const Int8Panel& panel,
               std::int64_t column, std::int64_t K) {
  constexpr std::int64_t W = V::kLanes;
  const typename V::Int top(static_cast<std::int32_t>(0xff000000u));
  V sums[ROWS][COLUMNS];
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 16
    for (int j = 0; j < COLUMNS; ++j) sums[m][j] = V(0.0f);
  }
  const std::int8_t* q = panel.q + column * kInt8Quad;
  for (std::int64_t k = 0; k < K; k += kInt8Quad, q += kInt8Panel * kInt8Quad) {
#pragma GCC unroll 16
    for (int j = 0; j < COLUMNS; ++j) {
      const std::int8_t* q_j = q + j * W * kInt8Quad;
      if (j * W * kInt8Quad % 64 == 0) prefetch_stream<V>(q_j);
      const auto four = to_bits(load<V>(reinterpret_cast<const float*>(q_j)));
#pragma GCC unroll 4
      for (int i = 0; i < kInt8Quad; ++i) {
        const V w = to_floats<V>((four << (24 - 8 * i)) & top);
#pragma GCC unroll 16
        for (int m = 0; m < ROWS; ++m) sums[m][j] = fma(V(x[m * stride + k + i]), w, sums[m][j]);
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 16
    for (int j = 0; j < COLUMNS; ++j) finish_int8<V>(Y, sums[m][j], panel, m, column + j * W);
  }
}

// Computes blocks of ROWS rows, starting at row m, until fewer than ROWS rows are left. Returns the next row.
template <class V, int ROWS, int COLUMNS>
std::int64_t int8_rows(const MatrixOut<float>& Y, Int8Rows X, const Int8Panel& panel, std::int64_t m,
                       std::int64_t M, std::int64_t K) {
  const auto* x = reinterpret_cast<const float*>(X.data);
  const std::int64_t stride = X.stride / static_cast<std::int64_t>(sizeof(float));
  for (; m + ROWS <= M; m += ROWS) {
    for (std::int64_t column = 0; column < panel.columns; column += COLUMNS * V::kLanes) {
      int8_tile<V, ROWS, COLUMNS>(Y.from(m, 0), x + m * stride, stride, panel, column, K);
    }
  }
  return m;
}

// Y (M, columns) = X (M,K) times the panel (+ bias) (+ addend). Rows of X were prepared by int8_floats().
// This version is for CPUs with 16 registers: 8 sums.
template <class V>
void gemv_int8(const MatrixOut<float>& Y, Int8Rows X, Int8Panel W, std::int64_t M, std::int64_t K) noexcept
    requires(V::kLanes < 16) {
  const std::int64_t m = int8_rows<V, 2, 4>(Y, X, W, 0, M, K);
  int8_rows<V, 1, 8>(Y, X, W, m, M, K);
}
// This version is for CPUs with 32 registers: up to 24 sums.
template <class V>
void gemv_int8(const MatrixOut<float>& Y, Int8Rows X, Int8Panel W, std::int64_t M, std::int64_t K) noexcept
    requires(V::kLanes == 16) {
  std::int64_t m = int8_rows<V, 12, 2>(Y, X, W, 0, M, K);
  m = int8_rows<V, 4, 4>(Y, X, W, m, M, K);
  m = int8_rows<V, 2, 4>(Y, X, W, m, M, K);
  int8_rows<V, 1, 4>(Y, X, W, m, M, K);
}

}  // namespace inkling::simd
