// Recomputation: memory for time (Chen et al. 2016, "Training deep nets with sublinear memory cost").
//
// What a piece of network computes on its way is kept for backward, and of a deep one that is most of its
// memory. recompute(tape, x, f) keeps only x and f(x): backward runs f once more, on a tape of its own,
// differentiates that, and forgets it before the piece below takes its turn. The result is the same to the
// bit, as f does the same both times; the price is a second forward pass.
#pragma once

#include "core/tape.h"

namespace inkling {

// f(tape, x), x and the result f32. F is a small lambda as of Tape::record(), Tensor f(Tape&, const Tensor&
// x). It may use leaves besides x, but none that anything else on the tape uses.
template <class F>
Tensor recompute(Tape& tape, const Tensor& x, F f) {
  if (!tape.recording()) return f(tape, x);
  const Tensor y = tape.compute_unrecorded([&] { return f(tape, x.detach()); });
  tape.record("recompute", {y}, {x, tape.turn()}, Work{.in_parts = true}, [=, &tape](Gradients& gradients) {
    Tape& inner = tape.inner();
    inner.clear();
    Tensor x_again = x.detach();
    if (x.has_gradient()) {
      const GradientTarget dx = gradients.target(x);
      x_again = inner.leaf(x.f32(), dx.data, x.shape(),
                           dx.accumulate ? LeafGradient::accumulate : LeafGradient::overwrite);
    }
    inner.backward_from(f(inner, x_again), gradients.of(y));
  });
  return y;
}

}  // namespace inkling
