// GELU, vectorised. The mathematics is in ops/gelu.h.
#pragma once

#include "ops/gelu.h"
#include "ops/math_simd.h"
#include "ops/simd.h"

namespace inkling::simd {

template <class V>
V gelu(V x) {
  const V minus_2u = x * fma(x * x, V(static_cast<float>(-kGeluTwoRoot2Pi * kGeluCubic)),
                             V(static_cast<float>(-kGeluTwoRoot2Pi)));
  return x / (V(1.0f) + exp(minus_2u));
}

template <class V>
V gelu_derivative(V x) {
  const V cut(static_cast<float>(kGeluCut)), one(1.0f);
  const V z = max(-cut, min(cut, x)), z2 = z * z;
  const V minus_2u = z * fma(z2, V(static_cast<float>(-kGeluTwoRoot2Pi * kGeluCubic)),
                             V(static_cast<float>(-kGeluTwoRoot2Pi)));
  const V du2 = fma(z2, V(static_cast<float>(3 * kGeluTwoRoot2Pi * kGeluCubic)),
                    V(static_cast<float>(kGeluTwoRoot2Pi)));
  const V s = one / (one + exp(minus_2u));
  return fma(z * s * (one - s), du2, s);
}

// T, the type of all four arrays, is float or bf16; the arithmetic is float's.
template <class V, class T>
void gelu_forward(T* y, const T* x, std::int64_t n) noexcept {
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += V::kLanes) store(y + i, gelu(load<V>(x + i)));
  if (tail != 0) store_n(y + body, gelu(load_n<V>(x + body, tail)), tail);
}

template <class V, class T>
void gelu_backward(T* dx, const T* dy, const T* x, std::int64_t n, bool accumulate) noexcept {
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += V::kLanes) {
    const V before = accumulate ? load<V>(dx + i) : V(0.0f);
    store(dx + i, fma(load<V>(dy + i), gelu_derivative(load<V>(x + i)), before));
  }
  if (tail != 0) {
    const V before = accumulate ? load_n<V>(dx + body, tail) : V(0.0f);
    const V d = gelu_derivative(load_n<V>(x + body, tail));
    store_n(dx + body, fma(load_n<V>(dy + body, tail), d, before), tail);
  }
}

}  // namespace inkling::simd
