// SGD with Nesterov momentum (Nesterov 1983; Sutskever et al. 2013), as PyTorch's SGD with nesterov=True
// computes it.
//
// For each weight w with gradient g and velocity b (0 before the first step):
//   g' = gradient_scale g
//   b  = momentum b + g'
//   w  = w - lr (g' + momentum b)
// The last line looks one step ahead: it uses the velocity that the next step would have if its gradient were
// 0. With momentum 0, a step is w - lr g'.
//
// In training, this is the outer step of --local-steps (apps/ranks/local_steps.h). It runs once in many
// steps, so it is a plain loop.
#pragma once

#include "optim/optimizer.h"

namespace inkling {

class Nesterov final : public Optimizer {
 public:
  // Error unless momentum is in [0, 1).
  Nesterov(const std::vector<ParameterSegment>& segments, double momentum);

  const char* name() const override { return "nesterov"; }
  void step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
            const Updated& updated = nullptr) override;
  std::vector<State> state() override { return {{"velocity", velocity()}}; }
  // For each weight, a step reads and writes w and the velocity, and reads the gradient: 5 floats.
  double step_bytes() const override { return 20.0 * static_cast<double>(extent()); }

  std::span<float> velocity() { return floats_of(velocity_); }

 private:
  float momentum_;
  Pages velocity_;  // the velocity is zero before the first step
};

}  // namespace inkling
