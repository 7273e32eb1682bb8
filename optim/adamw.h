// AdamW over a model's weights. The mathematics is in ops/update/adamw.h. In training this runs as
// AdamW::step in optim/adamw.cc, which calls adamw_update in ops/update/adamw_simd.h for each chunk of the
// weights.
#pragma once

#include "optim/optimizer.h"

namespace inkling {

// AdamW's settings are doubles: with beta2 = 0.999 as a float, 1 - beta2 would be wrong in the fifth digit.
struct AdamWSettings {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;  // used only in segments with `decay`
};

class AdamW final : public Optimizer {
 public:
  // Error unless the betas are in [0, 1), eps > 0 and weight_decay >= 0.
  AdamW(const std::vector<ParameterSegment>& segments, const AdamWSettings& settings);

  const char* name() const override { return "adamw"; }
  void step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
            const Updated& updated = nullptr) override;
  std::vector<State> state() override { return {{"m", m()}, {"v", v()}}; }
  // For each weight, AdamW reads and writes w, m and v, and reads the gradient: 7 floats.
  double step_bytes() const override { return 28.0 * static_cast<double>(extent()); }

  std::span<float> m() const { return floats_of(m_); }  // m, the running mean of the gradients
  std::span<float> v() const { return floats_of(v_); }  // v, the running mean of the squared gradients

 private:
  AdamWSettings settings_;
  Pages m_, v_;
};

}  // namespace inkling
