// Layer normalisation, vectorised along a row. The mathematics is in ops/layernorm.h, the same passes in
// ops/layernorm.cc.
#pragma once

#include "ops/layernorm.h"
#include "ops/simd.h"

namespace inkling::simd {

// T, the type of y and dy, is float or bf16; all else, and the arithmetic, is float.
template <class V, class T>
void layernorm_forward(T* y, float* mean, float* rstd, const float* x, const float* weight, const float* bias,
                       std::int64_t rows, std::int64_t C) noexcept {
  constexpr std::int64_t W = V::kLanes;
  const std::int64_t body = C - C % W, tail = C % W;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * C;
    T* y_r = y + r * C;
    // pass 1: mean
    V total(0.0f);
    for (std::int64_t c = 0; c < body; c += W) total += load<V>(x_r + c);
    if (tail != 0) total += load_n<V>(x_r + body, tail);
    const float m = sum(total) / static_cast<float>(C);
    // pass 2: variance
    V squares(0.0f);
    for (std::int64_t c = 0; c < body; c += W) {
      const V d = load<V>(x_r + c) - V(m);
      squares = fma(d, d, squares);
    }
    if (tail != 0) {
      const V d = load_n<V>(x_r + body, tail, m) - V(m);
      squares = fma(d, d, squares);
    }
    const float s = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(C) + kLayerNormEps);
    // pass 3: normalise, scale, shift
    for (std::int64_t c = 0; c < body; c += W) {
      const V n = (load<V>(x_r + c) - V(m)) * V(s);
      store(y_r + c, fma(n, load<V>(weight + c), load<V>(bias + c)));
    }
    if (tail != 0) {
      const V n = (load_n<V>(x_r + body, tail) - V(m)) * V(s);
      store_n(y_r + body, fma(n, load_n<V>(weight + body, tail), load_n<V>(bias + body, tail)), tail);
    }
    mean[r] = m;
    rstd[r] = s;
  }
}

template <class V, class T>
void layernorm_backward(float* dx, float* dweight, float* dbias, const T* dy, const float* x,
                        const float* weight, const float* mean, const float* rstd, std::int64_t rows,
                        std::int64_t C, bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  const std::int64_t body = C - C % W, tail = C % W;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * C;
    const T* dy_r = dy + r * C;
    float* dx_r = dx + r * C;
    const V m(mean[r]), s(rstd[r]);
    // pass 1: the two means over g = dy * weight, and the gradients of the parameters
    V g_sum(0.0f), gn_sum(0.0f);
    for (std::int64_t c = 0; c < body; c += W) {
      const V n = (load<V>(x_r + c) - m) * s;
      const V d = load<V>(dy_r + c);
      const V g = d * load<V>(weight + c);
      g_sum += g;
      gn_sum = fma(g, n, gn_sum);
      store(dweight + c, fma(d, n, load<V>(dweight + c)));
      store(dbias + c, load<V>(dbias + c) + d);
    }
    if (tail != 0) {
      const V n = (load_n<V>(x_r + body, tail) - m) * s;
      const V d = load_n<V>(dy_r + body, tail);
      const V g = d * load_n<V>(weight + body, tail);
      g_sum += g;
      gn_sum = fma(g, n, gn_sum);
      store_n(dweight + body, fma(d, n, load_n<V>(dweight + body, tail)), tail);
      store_n(dbias + body, load_n<V>(dbias + body, tail) + d, tail);
    }
    const V g_mean(sum(g_sum) / static_cast<float>(C)), gn_mean(sum(gn_sum) / static_cast<float>(C));
    // pass 2: dx = rstd * (g - mean(g) - n * mean(g n))
    for (std::int64_t c = 0; c < body; c += W) {
      const V n = (load<V>(x_r + c) - m) * s;
      const V g = load<V>(dy_r + c) * load<V>(weight + c);
      const V before = accumulate ? load<V>(dx_r + c) : V(0.0f);
      store(dx_r + c, fma(s, g - g_mean - n * gn_mean, before));
    }
    if (tail != 0) {
      const V n = (load_n<V>(x_r + body, tail) - m) * s;
      const V g = load_n<V>(dy_r + body, tail) * load_n<V>(weight + body, tail);
      const V before = accumulate ? load_n<V>(dx_r + body, tail) : V(0.0f);
      store_n(dx_r + body, fma(s, g - g_mean - n * gn_mean, before), tail);
    }
  }
}

}  // namespace inkling::simd
