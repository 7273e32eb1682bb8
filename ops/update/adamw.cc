#include "ops/update/adamw.h"

#include <cmath>

#include "core/portable_math.h"

namespace inkling {

template <class T>
void reference::adamw_update(T* p, T* m, T* v, const T* g, std::int64_t n, const AdamWStep& step) {
  const T beta1 = static_cast<T>(step.beta1), beta2 = static_cast<T>(step.beta2);
  const T eps = static_cast<T>(step.eps), lr = static_cast<T>(step.lr);
  for (std::int64_t i = 0; i < n; ++i) {
    const T scaled = static_cast<T>(step.gradient_scale) * g[i];
    m[i] = beta1 * m[i] + (1 - beta1) * scaled;
    v[i] = beta2 * v[i] + (1 - beta2) * scaled * scaled;
    const T m_hat = m[i] / (1 - static_cast<T>(portable::power(step.beta1, step.t)));
    const T v_hat = v[i] / (1 - static_cast<T>(portable::power(step.beta2, step.t)));
    p[i] -= lr * static_cast<T>(step.weight_decay) * p[i] + lr * m_hat / (std::sqrt(v_hat) + eps);
  }
}

template void reference::adamw_update(float*, float*, float*, const float*, std::int64_t, const AdamWStep&);
template void reference::adamw_update(double*, double*, double*, const double*, std::int64_t,
                                      const AdamWStep&);

AdamWFactors adamw_factors(const AdamWStep& step) {
  const double correction1 = 1 - portable::power(step.beta1, step.t);
  const double correction2 = 1 - portable::power(step.beta2, step.t);
  AdamWFactors f;
  f.beta1 = static_cast<float>(step.beta1);
  f.one_minus_beta1 = static_cast<float>(1 - step.beta1);
  f.beta2 = static_cast<float>(step.beta2);
  f.one_minus_beta2 = static_cast<float>(1 - step.beta2);
  f.keep = static_cast<float>(1 - step.lr * step.weight_decay);
  f.minus_step_size = static_cast<float>(-step.lr / correction1);
  f.one_over_root = static_cast<float>(1 / std::sqrt(correction2));
  f.eps = static_cast<float>(step.eps);
  f.gradient_scale = static_cast<float>(step.gradient_scale);
  return f;
}

}  // namespace inkling
