#include "ops/update/sgd.h"

namespace inkling {

template <class T>
void reference::sgd_update(T* p, T* b, const T* g, std::int64_t n, const SgdFactors& f) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T slope = static_cast<T>(f.gradient_scale) * g[i] + static_cast<T>(f.weight_decay) * p[i];
    b[i] = static_cast<T>(f.momentum) * b[i] + slope;
    p[i] -= static_cast<T>(f.lr) * b[i];
  }
}

template void reference::sgd_update(float*, float*, const float*, std::int64_t, const SgdFactors&);
template void reference::sgd_update(double*, double*, const double*, std::int64_t, const SgdFactors&);

}  // namespace inkling
