// Sums and maxima with SIMD, along a row or down columns. The mathematics is in ops/reduce.h.
#pragma once

#include "ops/reduce.h"
#include "ops/simd/lanes_simd.h"

namespace inkling::simd {

// Returns the sum of n consecutive numbers. Four times 16 numbers are partial sums, so that an addition does
// not have to wait for the previous addition.
template <class V>
float sum_row(const float* x, std::int64_t n) noexcept {
  constexpr std::int64_t W = V::kLanes;
  RowSum<V> sums[4];
  std::int64_t i = 0;
  for (; i + 4 * kRowLanes <= n; i += 4 * kRowLanes) {
    for (int u = 0; u < 4; ++u) {
#pragma GCC unroll 4
      for (int p = 0; p < RowSum<V>::kParts; ++p) sums[u][p] += load<V>(x + i + u * kRowLanes + p * W);
    }
  }
  for_row<V>(n - i, [&](std::int64_t k, int part, auto lanes) { sums[0][part] += lanes.load(x + i + k); });
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// Computes the sums of as many columns as fit into R registers, and adds them to `out` or assigns them.
// `lanes` may be less than W only if R = 1.
template <class V, int R, class T>
void sum_down(float* out, const T* x, std::int64_t n, std::int64_t row_stride, std::int64_t lanes,
              float scale, bool accumulate) {
  constexpr std::int64_t W = V::kLanes;
  constexpr std::int64_t kBlock =
      128;  // rows that are summed before their sum is added to the total, for accuracy
  V total[R];
  for (V& t : total) t = V(0.0f);
  for (std::int64_t k = 0; k < n;) {
    V block[R];
    for (V& b : block) b = V(0.0f);
    const std::int64_t end = k + kBlock < n ? k + kBlock : n;
    for (; k < end; ++k) {
      const T* row = x + k * row_stride;
      for (int r = 0; r < R; ++r) block[r] += lanes == W ? load<V>(row + r * W) : load_n<V>(row, lanes);
    }
    for (int r = 0; r < R; ++r) total[r] += block[r];
  }
  for (int r = 0; r < R; ++r) {
    const V before = accumulate ? load_n<V>(out + r * W, lanes) : V(0.0f);
    store_n(out + r * W, fma(total[r], V(scale), before), lanes);
  }
}

// Computes out[c] = (or +=) scale * sum_k x[k, c], for rows k = 0 .. n-1, row_stride apart. T is float or
// bf16.
template <class V, class T>
void sum_columns(float* out, const T* x, std::int64_t n, std::int64_t columns, std::int64_t row_stride,
                 float scale, bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  std::int64_t c = 0;
  for (; c + 4 * W <= columns; c += 4 * W)
    sum_down<V, 4>(out + c, x + c, n, row_stride, W, scale, accumulate);
  for (; c + W <= columns; c += W) sum_down<V, 1>(out + c, x + c, n, row_stride, W, scale, accumulate);
  if (c < columns) sum_down<V, 1>(out + c, x + c, n, row_stride, columns - c, scale, accumulate);
}

// Returns the larger of two numbers, or NaN if one is NaN.
template <class V>
V greater_or_nan(V most, V x) {
  // If `most` is NaN, no comparison is true, and the result is `most`.
  return if_equal(x, x, if_less(most, x, x, most), x);
}

// Returns the largest of n > 0 consecutive numbers, or NaN if one is NaN.
template <class V>
float max_row(const float* x, std::int64_t n) noexcept {
  constexpr std::int64_t W = V::kLanes;
  float most = x[0];
  const auto join = [&](const float* p, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      if (most == most && !(p[i] <= most)) most = p[i];  // a NaN in p[i] also becomes `most`
    }
  };
  const std::int64_t body = n - n % W;
  if (body > 0) {
    V lanes = load<V>(x);
    for (std::int64_t i = W; i < body; i += W) lanes = greater_or_nan(lanes, load<V>(x + i));
    alignas(64) float each[W];
    store(each, lanes);
    join(each, W);
  }
  join(x + body, n - body);
  return most;
}

// Computes out[c] = max_k x[k, c], over n > 0 rows.
template <class V>
void max_columns(float* out, const float* x, std::int64_t n, std::int64_t columns,
                 std::int64_t row_stride) noexcept {
  constexpr std::int64_t W = V::kLanes;
  std::int64_t c = 0;
  for (; c + W <= columns; c += W) {
    V most = load<V>(x + c);
    for (std::int64_t k = 1; k < n; ++k) most = greater_or_nan(most, load<V>(x + k * row_stride + c));
    store(out + c, most);
  }
  const std::int64_t tail = columns - c;
  if (tail == 0) return;
  V most = load_n<V>(x + c, tail);
  for (std::int64_t k = 1; k < n; ++k) most = greater_or_nan(most, load_n<V>(x + k * row_stride + c, tail));
  store_n(out + c, most, tail);
}

// Computes out[i] = (or +=) scale * x[i * step]; step is 0 or 1.
template <class V>
void add_scaled(float* out, const float* x, std::int64_t n, std::int64_t step, float scale,
                bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  const std::int64_t body = n - n % W, tail = n % W;
  const V factor(scale), zero(0.0f);
  const V repeated(step == 0 && n > 0 ? *x : 0.0f);
  for (std::int64_t i = 0; i < body; i += W) {
    const V before = accumulate ? load<V>(out + i) : zero;
    store(out + i, fma(step == 0 ? repeated : load<V>(x + i), factor, before));
  }
  if (tail == 0) return;
  const V before = accumulate ? load_n<V>(out + body, tail) : zero;
  store_n(out + body, fma(step == 0 ? repeated : load_n<V>(x + body, tail), factor, before), tail);
}

}  // namespace inkling::simd
