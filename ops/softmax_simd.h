// Softmax, vectorised along a row. The mathematics is in ops/softmax.h, and the same passes without SIMD are
// in ops/softmax.cc.
#pragma once

#include <limits>

#include "ops/simd/lanes_simd.h"
#include "ops/simd/math_simd.h"
#include "ops/softmax.h"

namespace inkling::simd {

// Returns the largest of n numbers. If some are NaN, the result may be NaN or the largest of the others.
template <class V>
float max_of(const float* x, std::int64_t n) {
  constexpr float kMinusInf = -std::numeric_limits<float>::infinity();
  constexpr std::int64_t W = V::kLanes;
  V m0(kMinusInf), m1(kMinusInf);  // two registers, because each max waits for the max before it
  std::int64_t i = 0;
  for (; i + 2 * W <= n; i += 2 * W) {
    m0 = max(m0, load<V>(x + i));
    m1 = max(m1, load<V>(x + i + W));
  }
  for (; i + W <= n; i += W) m0 = max(m0, load<V>(x + i));
  if (i < n) m1 = max(m1, load_n<V>(x + i, n - i, kMinusInf));
  return greatest(max(m0, m1));
}

template <class V>
void softmax_forward(float* y, const float* x, std::int64_t rows, std::int64_t C) noexcept {
  constexpr float kMinusInf = -std::numeric_limits<float>::infinity();  // e^-inf adds 0 to the sum
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * C;
    float* y_r = y + r * C;
    // pass 1: maximum
    const V m(max_of<V>(x_r, C));
    // pass 2: e^(x - m) and its sum
    RowSum<V> total;
    for_row<V>(C, [&](std::int64_t c, int part, auto lanes) {
      const V e = exp(lanes.load(x_r + c, kMinusInf) - m);
      total[part] += e;
      lanes.store(y_r + c, e);
    });
    // pass 3: divide
    const V scale(1.0f / sum(total));
    for_lanes<V>(C, [&](std::int64_t c, auto lanes) { lanes.store(y_r + c, lanes.load(y_r + c) * scale); });
  }
}

template <class V>
void softmax_backward(float* dx, const float* dy, const float* y, std::int64_t rows, std::int64_t C,
                      bool accumulate) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float *dy_r = dy + r * C, *y_r = y + r * C;
    float* dx_r = dx + r * C;
    // pass 1: sum dy_i y_i
    RowSum<V> products;
    for_row<V>(C, [&](std::int64_t c, int part, auto lanes) {
      products[part] = fma(lanes.load(dy_r + c), lanes.load(y_r + c), products[part]);
    });
    const V dot(sum(products));
    // pass 2: dx = y (dy - dot)
    for_lanes<V>(C, [&](std::int64_t c, auto lanes) {
      const V before = lanes.load_if(accumulate, dx_r + c);
      lanes.store(dx_r + c, fma(lanes.load(y_r + c), lanes.load(dy_r + c) - dot, before));
    });
  }
}

}  // namespace inkling::simd
