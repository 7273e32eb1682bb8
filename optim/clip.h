// Clipping by the global norm (Pascanu, Mikolov, Bengio 2013): if the vector of all gradients is longer than
// max_norm, it is scaled down to that length and keeps its direction. The optimiser multiplies by the factor,
// so clipping needs no pass over the gradients of its own. In training, gradient_norm and
// training_step in apps/run/training_step.cc call these functions.
#pragma once

#include <cstdint>

namespace inkling {

// sqrt(sum_i g_i^2). If a gradient is NaN or infinite, so is the norm; then the step must not be taken.
double global_norm(const float* gradients, std::int64_t n);

// min(1, max_norm / (norm + 1e-6)), as in torch.nn.utils.clip_grad_norm_. NaN if the norm is NaN.
float clip_factor(double norm, double max_norm);

}  // namespace inkling
