#include "optim/nesterov.h"

#include "core/error.h"

namespace inkling {

Nesterov::Nesterov(const std::vector<ParameterSegment>& segments, double momentum)
    : Optimizer(segments), momentum_(static_cast<float>(momentum)), velocity_(state_memory()) {
  if (!(momentum >= 0 && momentum < 1))
    fail("nesterov: momentum is ", momentum, ", expected 0 <= momentum < 1");
}

void Nesterov::step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
                    const Updated& updated) {
  check_step(step);
  float* b = velocity().data();
  for_each_chunk(updated, [&](const SegmentChunk& c) {
    for (std::int64_t i = c.offset; i < c.offset + c.count; ++i) {
      const float g = gradient_scale * gradients[i];
      b[i] = momentum_ * b[i] + g;
      weights[i] -= lr * (g + momentum_ * b[i]);
    }
  });
}

}  // namespace inkling
