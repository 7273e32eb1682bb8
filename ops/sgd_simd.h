// SGD with momentum, vectorised. The mathematics is in ops/sgd.h.
#pragma once

#include "ops/sgd.h"
#include "ops/simd.h"

namespace inkling::simd {

template <class V>
void sgd_register(V& p, V& b, V g, const SgdFactors& f) {
  const V slope = fma(V(f.weight_decay), p, V(f.gradient_scale) * g);
  b = fma(V(f.momentum), b, slope);
  p = fma(V(-f.lr), b, p);
}

template <class V>
void sgd_update(float* p, float* b, const float* g, std::int64_t n, const SgdFactors& factors) noexcept {
  const SgdFactors f = factors;  // a copy: through the reference, each store below might change it
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += V::kLanes) {
    V p_i = load<V>(p + i), b_i = load<V>(b + i);
    sgd_register(p_i, b_i, load<V>(g + i), f);
    store(p + i, p_i);
    store(b + i, b_i);
  }
  if (tail == 0) return;
  V p_i = load_n<V>(p + body, tail), b_i = load_n<V>(b + body, tail);
  sgd_register(p_i, b_i, load_n<V>(g + body, tail), f);
  store_n(p + body, p_i, tail);
  store_n(b + body, b_i, tail);
}

}  // namespace inkling::simd
