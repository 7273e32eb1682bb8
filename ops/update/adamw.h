// AdamW: Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch computes
// it.
//
// For each weight p with gradient g and moments m, v, at step t = 1, 2, ...:
//   g' = gradient_scale g                      the factor of clipping by global norm (optim/clip.h)
//   m  = beta1 m + (1 - beta1) g'              running mean of the gradients
//   v  = beta2 v + (1 - beta2) g'^2            running mean of their squares
//   m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)     corrects the bias: m and v start at 0
//   p  = p - lr weight_decay p - lr m^ / (sqrt(v^) + eps)
// These formulas are reference::adamw_update. In training they run as adamw_update in
// ops/update/adamw_simd.h, where the factors that all weights of a step share are computed once
// (AdamWFactors), in double as in PyTorch:
//   p  = keep p + minus_step_size m / (one_over_root sqrt(v) + eps)
//
// One pass of AdamW reads and writes p, m and v and reads g: 28 bytes for each weight. Memory bandwidth
// limits its speed.
#pragma once

#include <cstdint>

namespace inkling {

struct AdamWStep {
  double beta1, beta2;
  double eps;
  double weight_decay;  // 0 for weights without weight decay
  double lr;
  double gradient_scale;
  std::int64_t t;  // the number of the step, counted from 1
};

struct AdamWFactors {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float keep;             // 1 - lr weight_decay
  float minus_step_size;  // -lr / (1 - beta1^t)
  float one_over_root;    // 1 / sqrt(1 - beta2^t)
  float eps;
  float gradient_scale;
};

AdamWFactors adamw_factors(const AdamWStep& step);

namespace reference {  // T is float or double

template <class T>  // p, m, v, g (n)
void adamw_update(T* p, T* m, T* v, const T* g, std::int64_t n, const AdamWStep& step);

}  // namespace reference

}  // namespace inkling
