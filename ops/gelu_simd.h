// GELU, vectorised. The mathematics is in ops/gelu.h.
#pragma once

#include "ops/gelu.h"
#include "ops/simd/lanes_simd.h"
#include "ops/simd/math_simd.h"

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

// GELU of n elements. T, the type of all arrays, is float or bf16. The arithmetic is float.
template <class V, class T>
void gelu_forward(T* y, const T* x, std::int64_t n) noexcept {
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) { lanes.store(y + i, gelu(lanes.load(x + i))); });
}

template <class V, class T>
void gelu_backward(T* dx, const T* dy, const T* x, std::int64_t n, bool accumulate) noexcept {
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) {
    const V before = lanes.load_if(accumulate, dx + i);
    lanes.store(dx + i, fma(lanes.load(dy + i), gelu_derivative(lanes.load(x + i)), before));
  });
}

}  // namespace inkling::simd
