#include "ops/update/adamw.h"

#include <cmath>

namespace inkling {

AdamWFactors adamw_factors(double beta1, double beta2, double eps, double weight_decay, double lr,
                           double gradient_scale, std::int64_t t) {
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(t));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(t));
  AdamWFactors f;
  f.beta1 = static_cast<float>(beta1);
  f.one_minus_beta1 = static_cast<float>(1 - beta1);
  f.beta2 = static_cast<float>(beta2);
  f.one_minus_beta2 = static_cast<float>(1 - beta2);
  f.keep = static_cast<float>(1 - lr * weight_decay);
  f.minus_step_size = static_cast<float>(-lr / correction1);
  f.one_over_root = static_cast<float>(1 / std::sqrt(correction2));
  f.eps = static_cast<float>(eps);
  f.gradient_scale = static_cast<float>(gradient_scale);
  return f;
}

template <class T>
void reference::adamw_update(T* p, T* m, T* v, const T* g, std::int64_t n, const AdamWFactors& f) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T scaled = g[i] * static_cast<T>(f.gradient_scale);
    m[i] = static_cast<T>(f.beta1) * m[i] + static_cast<T>(f.one_minus_beta1) * scaled;
    v[i] = static_cast<T>(f.beta2) * v[i] + static_cast<T>(f.one_minus_beta2) * scaled * scaled;
    const T denominator = std::sqrt(v[i]) * static_cast<T>(f.one_over_root) + static_cast<T>(f.eps);
    p[i] = static_cast<T>(f.keep) * p[i] + static_cast<T>(f.minus_step_size) * m[i] / denominator;
  }
}

template void reference::adamw_update(float*, float*, float*, const float*, std::int64_t,
                                      const AdamWFactors&);
template void reference::adamw_update(double*, double*, double*, const double*, std::int64_t,
                                      const AdamWFactors&);

}  // namespace inkling
