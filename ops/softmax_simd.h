// Softmax, vectorised along a row. The mathematics is in ops/softmax.h, the same passes in ops/softmax.cc.
#pragma once

#include <limits>

#include "ops/math_simd.h"
#include "ops/simd.h"
#include "ops/softmax.h"

namespace inkling::simd {

// The greatest of n numbers; a NaN among them may count or not.
template <class V>
float max_of(const float* x, std::int64_t n) {
  constexpr float kMinusInf = -std::numeric_limits<float>::infinity();
  constexpr std::int64_t W = V::kLanes;
  V m0(kMinusInf), m1(kMinusInf);  // two, since a maximum waits for the one before it
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
  const std::int64_t tail = C % V::kLanes, body = C - tail;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * C;
    float* y_r = y + r * C;
    // pass 1: maximum
    const V m(max_of<V>(x_r, C));
    // pass 2: e^(x - m) and its sum
    V total(0.0f);
    for (std::int64_t c = 0; c < body; c += V::kLanes) {
      const V e = exp(load<V>(x_r + c) - m);
      total += e;
      store(y_r + c, e);
    }
    if (tail != 0) {
      store_n(y_r + body, exp(load_n<V>(x_r + body, tail) - m), tail);
      total += load_n<V>(y_r + body, tail);
    }
    // pass 3: divide
    const V scale(1.0f / sum(total));
    for (std::int64_t c = 0; c < body; c += V::kLanes) store(y_r + c, load<V>(y_r + c) * scale);
    if (tail != 0) store_n(y_r + body, load_n<V>(y_r + body, tail) * scale, tail);
  }
}

template <class V>
void softmax_backward(float* dx, const float* dy, const float* y, std::int64_t rows, std::int64_t C,
                      bool accumulate) noexcept {
  const std::int64_t tail = C % V::kLanes, body = C - tail;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float *dy_r = dy + r * C, *y_r = y + r * C;
    float* dx_r = dx + r * C;
    // pass 1: sum dy_i y_i
    V products(0.0f);
    for (std::int64_t c = 0; c < body; c += V::kLanes)
      products = fma(load<V>(dy_r + c), load<V>(y_r + c), products);
    if (tail != 0) products = fma(load_n<V>(dy_r + body, tail), load_n<V>(y_r + body, tail), products);
    const V dot(sum(products));
    // pass 2: dx = y (dy - dot)
    for (std::int64_t c = 0; c < body; c += V::kLanes) {
      const V before = accumulate ? load<V>(dx_r + c) : V(0.0f);
      store(dx_r + c, fma(load<V>(y_r + c), load<V>(dy_r + c) - dot, before));
    }
    if (tail != 0) {
      const V before = accumulate ? load_n<V>(dx_r + body, tail) : V(0.0f);
      store_n(dx_r + body, fma(load_n<V>(y_r + body, tail), load_n<V>(dy_r + body, tail) - dot, before),
              tail);
    }
  }
}

}  // namespace inkling::simd
