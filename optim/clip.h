// Clipping by the global norm (Pascanu, Mikolov, Bengio 2013): if all gradients together are longer than
// max_norm, they are shortened to it, their direction kept. The optimiser multiplies, so that no pass of its
// own is needed.
#pragma once

#include <cstdint>

namespace inkling {

// sqrt(sum_i g_i^2). NaN or inf among the gradients makes it NaN or inf: a step not to take.
double global_norm(const float* gradients, std::int64_t n);

// min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; NaN if the norm is.
float clip_factor(double norm, double max_norm);

}  // namespace inkling
