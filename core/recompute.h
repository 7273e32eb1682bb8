// Recomputation: training that uses more time and less memory (Chen et al. 2016, "Training deep nets with
// sublinear memory cost").
//
// Normally a network stores its intermediate results for backward. In a deep network they are most of the
// memory. recompute(tape, x, f) stores only x and f(x). backward runs f again on a separate tape,
// differentiates this second run, and clears the separate tape before the next part of the network. Both runs
// of f do the same operations, so the result has the same bits. The price is a second forward pass.
#pragma once

#include "core/tape.h"

namespace inkling {

// Returns f(tape, x), and stores only x and the result for backward. x and the result are f32. F is a lambda
// Tensor f(Tape&, const Tensor& x) that captures only plain values, as in Tape::record(). f may use leaves
// besides x, but no leaf that is used anywhere else on the tape.
template <class F>
Tensor recompute(Tape& tape, const Tensor& x, F f) {
  if (!tape.recording()) return f(tape, x);
  const Tensor y = tape.compute_unrecorded([&] { return f(tape, x.detach()); });
  tape.record("recompute", {y}, {x, tape.recompute_lock()}, Work{.in_parts = true},
              [=, &tape](Gradients& gradients) {
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
