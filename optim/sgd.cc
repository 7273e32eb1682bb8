#include "optim/sgd.h"

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"
#include "ops/update/sgd.h"

namespace inkling {

Sgd::Sgd(const std::vector<ParameterSegment>& segments, const SgdSettings& settings)
    : settings_(settings),
      chunks_(cut_segments(segments)),
      extent_(extent(segments)),
      velocity_(static_cast<std::size_t>(extent_) * sizeof(float)) {
  const SgdSettings& s = settings_;
  if (!(s.momentum >= 0 && s.momentum < 1))
    fail("sgd: momentum is ", s.momentum, ", expected 0 <= momentum < 1");
  if (!(s.weight_decay >= 0)) fail("sgd: weight decay is ", s.weight_decay, ", expected 0 or more");
}

void Sgd::step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
               const Updated& updated) {
  if (step < 1) fail("sgd: step is ", step, ", expected 1 or more");
  const SgdFactors plain{lr, static_cast<float>(settings_.momentum), 0.0f, gradient_scale};
  SgdFactors decaying = plain;
  decaying.weight_decay = static_cast<float>(settings_.weight_decay);
  float* b = velocity().data();
  parallel_chunks(static_cast<std::int64_t>(chunks_.size()), [&](std::int64_t i) {
    const SegmentChunk& c = chunks_[static_cast<std::size_t>(i)];
    kernels().sgd_update(weights + c.offset, b + c.offset, gradients + c.offset, c.count,
                         c.decay ? decaying : plain);
    if (updated) updated(c.offset, c.count);
  });
}

std::span<float> Sgd::velocity() {
  return {reinterpret_cast<float*>(velocity_.data()), static_cast<std::size_t>(extent_)};
}

}  // namespace inkling
