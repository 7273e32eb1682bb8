// Layer normalisation, vectorised along a row. The mathematics is in ops/layernorm.h, and the same passes
// without SIMD are in ops/layernorm.cc.
#pragma once

#include "ops/layernorm.h"
#include "ops/simd/lanes_simd.h"

namespace inkling::simd {

// T, the type of y (in backward: of dy), is float or bf16. All arithmetic is float.
template <class V, class T>
void layernorm_forward(const LayerNormForward<T, float>& arguments) noexcept {
  const std::int64_t C = arguments.C;
  const float *weight = arguments.weight, *bias = arguments.bias;
  for (std::int64_t r = 0; r < arguments.rows; ++r) {
    const float* x_r = arguments.x + r * C;
    T* y_r = arguments.y + r * C;
    // pass 1: mean
    RowSum<V> total;
    for_row<V>(C, [&](std::int64_t c, int part, auto lanes) { total[part] += lanes.load(x_r + c); });
    const float m = sum(total) / static_cast<float>(C);
    // pass 2: variance
    RowSum<V> squares;
    for_row<V>(C, [&](std::int64_t c, int part, auto lanes) {
      const V d = lanes.load(x_r + c, m) - V(m);
      squares[part] = fma(d, d, squares[part]);
    });
    const float s = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(C) + kLayerNormEps);
    // pass 3: normalise, scale, shift
    for_lanes<V>(C, [&](std::int64_t c, auto lanes) {
      const V n = (lanes.load(x_r + c) - V(m)) * V(s);
      lanes.store(y_r + c, fma(n, lanes.load(weight + c), lanes.load(bias + c)));
    });
    arguments.mean[r] = m;
    arguments.rstd[r] = s;
  }
}

template <class V, class T>
void layernorm_backward(const LayerNormBackward<T, float>& arguments) noexcept {
  const std::int64_t C = arguments.C;
  const bool accumulate = arguments.accumulate;
  const float* weight = arguments.weight;
  float *dweight = arguments.dweight, *dbias = arguments.dbias;
  for (std::int64_t r = 0; r < arguments.rows; ++r) {
    const float* x_r = arguments.x + r * C;
    const T* dy_r = arguments.dy + r * C;
    float* dx_r = arguments.dx + r * C;
    const V m(arguments.mean[r]), s(arguments.rstd[r]);
    // pass 1: the means of g = dy * weight and of g * n, and the gradients of the parameters
    RowSum<V> g_sum, gn_sum;
    for_row<V>(C, [&](std::int64_t c, int part, auto lanes) {
      const V n = (lanes.load(x_r + c) - m) * s;
      const V d = lanes.load(dy_r + c);
      const V g = d * lanes.load(weight + c);
      g_sum[part] += g;
      gn_sum[part] = fma(g, n, gn_sum[part]);
      lanes.store(dweight + c, fma(d, n, lanes.load(dweight + c)));
      lanes.store(dbias + c, lanes.load(dbias + c) + d);
    });
    const V g_mean(sum(g_sum) / static_cast<float>(C)), gn_mean(sum(gn_sum) / static_cast<float>(C));
    // pass 2: dx = rstd * (g - mean(g) - n * mean(g n))
    for_lanes<V>(C, [&](std::int64_t c, auto lanes) {
      const V n = (lanes.load(x_r + c) - m) * s;
      const V g = lanes.load(dy_r + c) * lanes.load(weight + c);
      const V before = lanes.load_if(accumulate, dx_r + c);
      lanes.store(dx_r + c, fma(s, g - g_mean - n * gn_mean, before));
    });
  }
}

}  // namespace inkling::simd
