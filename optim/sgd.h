// SGD with momentum over a model's weights. The mathematics is in ops/update/sgd.h. In training this runs as
// Sgd::step in optim/sgd.cc, which calls sgd_update in ops/update/sgd_simd.h for each chunk of the weights.
#pragma once

#include "optim/optimizer.h"

namespace inkling {

struct SgdSettings {
  double momentum = 0.9;
  double weight_decay = 0;  // weight_decay * p is added to the gradient, in segments with `decay`
};

class Sgd final : public Optimizer {
 public:
  // Error unless momentum is in [0, 1) and weight_decay >= 0.
  Sgd(const std::vector<ParameterSegment>& segments, const SgdSettings& settings);

  const char* name() const override { return "sgd"; }
  void step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
            const Updated& updated = nullptr) override;
  std::vector<State> state() override { return {{"velocity", velocity()}}; }
  // For each weight, SGD reads and writes w and the velocity, and reads the gradient: 5 floats.
  double step_bytes() const override { return 20.0 * static_cast<double>(extent()); }

  std::span<float> velocity() const { return floats_of(velocity_); }

 private:
  SgdSettings settings_;
  Pages velocity_;
};

}  // namespace inkling
