// AdamW, vectorised. The mathematics is in ops/adamw.h.
#pragma once

#include "ops/adamw.h"
#include "ops/simd.h"

namespace inkling::simd {

template <class V>
void adamw_register(V& p, V& m, V& v, V g, const AdamWFactors& f) {
  const V scaled = g * V(f.gradient_scale);
  m = fma(V(f.beta1), m, V(f.one_minus_beta1) * scaled);
  v = fma(V(f.beta2), v, V(f.one_minus_beta2) * scaled * scaled);
  const V denominator = fma(sqrt(v), V(f.one_over_root), V(f.eps));
  p = fma(V(f.minus_step_size), m / denominator, V(f.keep) * p);
}

template <class V>
void adamw_update(float* p, float* m, float* v, const float* g, std::int64_t n,
                  const AdamWFactors& factors) noexcept {
  const AdamWFactors f = factors;  // a copy: through the reference, each store below might change it
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += V::kLanes) {
    V p_i = load<V>(p + i), m_i = load<V>(m + i), v_i = load<V>(v + i);
    adamw_register(p_i, m_i, v_i, load<V>(g + i), f);
    store(p + i, p_i);
    store(m + i, m_i);
    store(v + i, v_i);
  }
  if (tail == 0) return;
  V p_i = load_n<V>(p + body, tail), m_i = load_n<V>(m + body, tail), v_i = load_n<V>(v + body, tail);
  adamw_register(p_i, m_i, v_i, load_n<V>(g + body, tail), f);
  store_n(p + body, p_i, tail);
  store_n(m + body, m_i, tail);
  store_n(v + body, v_i, tail);
}

}  // namespace inkling::simd
