// watch: reads the gradient of a value inside of a network. Without watch, this gradient cannot be seen
// outside of the tape.
#pragma once

#include <algorithm>

#include "core/tape.h"

namespace inkling {

// Returns a copy of x (f32). When backward runs, the gradient of this copy is written to `gradient`, which
// has as many floats as x, and added to x's gradient.
inline Tensor watch(Tape& tape, const Tensor& x, float* gradient) {
  const Tensor y = tape.output(x.shape(), {x});
  std::copy_n(x.f32(), x.numel(), y.f32());
  tape.record("watch", {y}, {x}, [=](Gradients& gradients) {
    const float* dy = gradients.of(y);
    std::copy_n(dy, y.numel(), gradient);
    float* dx = gradients.sum_into(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) dx[i] += dy[i];
  });
  return y;
}

}  // namespace inkling
