#include "optim/clip.h"

#include <cmath>

#include "ops/update/sum_of_squares.h"

namespace inkling {

double global_norm(const float* gradients, std::int64_t n) {
  return std::sqrt(sum_of_squares(gradients, n));
}

float clip_factor(double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return static_cast<float>(factor > 1 ? 1 : factor);
}

}  // namespace inkling
