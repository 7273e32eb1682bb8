// AdamW, vectorised. The mathematics is in ops/update/adamw.h.
#pragma once

#include "ops/simd/lanes_simd.h"
#include "ops/update/adamw.h"

namespace inkling::simd {

template <class V>
void adamw_update(float* p, float* m, float* v, const float* g, std::int64_t n,
                  const AdamWFactors& factors) noexcept {
  const AdamWFactors f =
      factors;  // a local copy: the compiler must assume that a store to p, m or v changes `factors`
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) {
    const V scaled = lanes.load(g + i) * V(f.gradient_scale);
    const V m_i = fma(V(f.beta1), lanes.load(m + i), V(f.one_minus_beta1) * scaled);
    const V v_i = fma(V(f.beta2), lanes.load(v + i), V(f.one_minus_beta2) * scaled * scaled);
    const V denominator = fma(sqrt(v_i), V(f.one_over_root), V(f.eps));
    const V p_i = fma(V(f.minus_step_size), m_i / denominator, V(f.keep) * lanes.load(p + i));
    lanes.store(p + i, p_i);
    lanes.store(m + i, m_i);
    lanes.store(v + i, v_i);
  });
}

}  // namespace inkling::simd
