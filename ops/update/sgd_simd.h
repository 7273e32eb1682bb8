// SGD with momentum, vectorised. The mathematics is in ops/update/sgd.h.
#pragma once

#include "ops/simd/lanes_simd.h"
#include "ops/update/sgd.h"

namespace inkling::simd {

template <class V>
void sgd_update(float* p, float* b, const float* g, std::int64_t n, const SgdFactors& factors) noexcept {
  const SgdFactors f = factors;  // a local copy: a store to p or b could change `factors`
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) {
    const V p_i = lanes.load(p + i);
    const V slope = fma(V(f.weight_decay), p_i, V(f.gradient_scale) * lanes.load(g + i));
    const V b_i = fma(V(f.momentum), lanes.load(b + i), slope);
    lanes.store(p + i, fma(V(-f.lr), b_i, p_i));
    lanes.store(b + i, b_i);
  });
}

}  // namespace inkling::simd
