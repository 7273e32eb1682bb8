#include "optim/adamw.h"

#include "ops/kernels.h"
#include "ops/update/adamw.h"

namespace inkling {

AdamW::AdamW(const std::vector<ParameterSegment>& segments, const AdamWSettings& settings)
    : Optimizer(segments), settings_(settings), m_(state_memory()), v_(state_memory()) {
  const AdamWSettings& s = settings_;
  if (!(s.beta1 >= 0 && s.beta1 < 1)) fail("adamw: beta1 is ", s.beta1, ", expected 0 <= beta1 < 1");
  if (!(s.beta2 >= 0 && s.beta2 < 1)) fail("adamw: beta2 is ", s.beta2, ", expected 0 <= beta2 < 1");
  if (!(s.eps > 0)) fail("adamw: eps is ", s.eps, ", expected eps > 0");
  if (!(s.weight_decay >= 0)) fail("adamw: weight decay is ", s.weight_decay, ", expected 0 or more");
}

void AdamW::step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
                 const Updated& updated) {
  check_step(step);
  const auto factors = [&](double weight_decay) {
    return adamw_factors({.beta1 = settings_.beta1,
                          .beta2 = settings_.beta2,
                          .eps = settings_.eps,
                          .weight_decay = weight_decay,
                          .lr = static_cast<double>(lr),
                          .gradient_scale = static_cast<double>(gradient_scale),
                          .t = step});
  };
  const AdamWFactors decaying = factors(settings_.weight_decay), plain = factors(0);
  float *m = this->m().data(), *v = this->v().data();
  for_each_chunk(updated, [&](const SegmentChunk& c) {
    kernels().adamw_update(weights + c.offset, m + c.offset, v + c.offset, gradients + c.offset, c.count,
                           c.decay ? decaying : plain);
  });
}

}  // namespace inkling
