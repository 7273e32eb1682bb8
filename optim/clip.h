// Clipping by the global norm (Pascanu, Mikolov, Bengio 2013): if the vector of all gradients is longer than
// max_norm, it is scaled down to the length max_norm and keeps its direction. The optimiser multiplies each
// gradient by the factor that clip_factor() returns, so clipping needs no extra pass over the gradients.
// In training, gradient_norm and training_step in apps/run/training_step.cc call these functions.
#pragma once

#include <cstdint>

namespace inkling {

// The norm of all gradients: sqrt(sum_i g_i^2). If a gradient is NaN or infinite, the norm is NaN or infinite
// too; then the caller must not take the step.
double global_norm(const float* gradients, std::int64_t n);

// The factor that clips the gradients: min(1, max_norm / (norm + 1e-6)), as in
// torch.nn.utils.clip_grad_norm_. NaN if the norm is NaN.
float clip_factor(double norm, double max_norm);

}  // namespace inkling
