// SGD: stochastic gradient descent with momentum, as PyTorch's SGD computes it (dampening 0, without
// Nesterov).
//
// For each weight p with gradient g and velocity b (0 before the first step):
//   g' = gradient_scale g + weight_decay p     L2 decay is part of the gradient, unlike in AdamW
//   b  = momentum b + g'
//   p  = p - lr b
// PyTorch's first step sets b = g'. In this file b is 0 before the first step, so the result is the same.
//
// In training, SGD runs as sgd_update in ops/update/sgd_simd.h.
#pragma once

#include <cstdint>

namespace inkling {

struct SgdFactors {
  float lr;
  float momentum;
  float weight_decay;
  float gradient_scale;
};

namespace reference {  // T is float or double

template <class T>  // p, b, g (n)
void sgd_update(T* p, T* b, const T* g, std::int64_t n, const SgdFactors& f);

}  // namespace reference

}  // namespace inkling
