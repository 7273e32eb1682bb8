#include "optim/sgd.h"

#include "ops/kernels.h"
#include "ops/update/sgd.h"

namespace inkling {

Sgd::Sgd(const std::vector<ParameterSegment>& segments, const SgdSettings& settings)
    : Optimizer(segments), settings_(settings), velocity_(state_memory()) {
  const SgdSettings& s = settings_;
  if (!(s.momentum >= 0 && s.momentum < 1))
    fail("sgd: momentum is ", s.momentum, ", expected 0 <= momentum < 1");
  if (!(s.weight_decay >= 0)) fail("sgd: weight decay is ", s.weight_decay, ", expected 0 or more");
}

void Sgd::step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
               const Updated& updated) {
  check_step(step);
  const SgdFactors plain{lr, static_cast<float>(settings_.momentum), 0.0f, gradient_scale};
  SgdFactors decaying = plain;
  decaying.weight_decay = static_cast<float>(settings_.weight_decay);
  float* b = velocity().data();
  for_each_chunk(updated, [&](const SegmentChunk& c) {
    kernels().sgd_update(weights + c.offset, b + c.offset, gradients + c.offset, c.count,
                         c.decay ? decaying : plain);
  });
}

}  // namespace inkling
