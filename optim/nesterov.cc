#include "optim/nesterov.h"

#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

Nesterov::Nesterov(const std::vector<ParameterSegment>& segments, double momentum)
    : momentum_(static_cast<float>(momentum)),
      chunks_(cut_segments(segments)),
      extent_(extent(segments)),
      velocity_(static_cast<std::size_t>(extent_) * sizeof(float)) {
  if (!(momentum >= 0 && momentum < 1))
    fail("nesterov: momentum is ", momentum, ", expected 0 <= momentum < 1");
}

void Nesterov::step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
                    const Updated& updated) {
  if (step < 1) fail("nesterov: step is ", step, ", expected 1 or more");
  float* b = velocity().data();
  parallel_chunks(std::ssize(chunks_), [&](std::int64_t chunk) {
    const SegmentChunk& c = chunks_[static_cast<std::size_t>(chunk)];
    for (std::int64_t i = c.offset; i < c.offset + c.count; ++i) {
      const float g = gradient_scale * gradients[i];
      b[i] = momentum_ * b[i] + g;
      weights[i] -= lr * (g + momentum_ * b[i]);
    }
    if (updated) updated(c.offset, c.count);
  });
}

std::span<float> Nesterov::velocity() {
  return {reinterpret_cast<float*>(velocity_.data()), static_cast<std::size_t>(extent_)};
}

}  // namespace inkling
