// Recomputation: training that uses more time and less memory (Chen et al. 2016, "Training deep nets with
// sublinear memory cost").
//
// Normally a network stores its intermediate results for backward. In a deep network they are most of the
// memory. recompute(tape, x, f) stores only x and f(x). backward runs f again on a separate tape,
// differentiates this second run, and clears the separate tape before the next part of the network. Both runs
// of f do the same operations, so the result has the same bits. The price is a second forward pass.
#pragma once

#include "core/error.h"
#include "core/tape.h"

namespace inkling {

// Returns f(tape, x); x and the result are f32. F is a lambda Tensor f(Tape&, const Tensor& x) that captures
// only plain values, as in Tape::record(). f gets leaves from the tape that it is given; other pieces and
// other ops may use the same leaves. Error if f uses another tensor from outside that has a gradient, if x
// has a gradient and is not contiguous, and if x is a part of a leaf that f uses.
template <class F>
Tensor recompute(Tape& tape, const Tensor& x, F f) {
  if (!tape.recording()) return f(tape, x);
  if (x.has_gradient() && !x.contiguous())
    fail("recompute: x ", x.shape(), " is not contiguous, expected a contiguous tensor");
  const Tape::Piece piece = tape.compute_piece(x, f);
  const auto run_again = [=, &tape](Gradients& gradients) {
    Tape& inner = tape.inner();
    inner.clear();
    // The inner tape writes the gradients of x and of the leaves where the outer tape has them: it assigns if
    // it is the first writer, and adds otherwise. When f asks for one of the leaves, it gets this one.
    const Tensor x_again = x.has_gradient() ? inner.leaf(x, gradients.target(x)) : x;
    for (const Tensor& leaf : piece.leaves) inner.leaf(leaf, gradients.target(leaf));
    inner.backward_from(f(inner, x_again), gradients.of(piece.result));
  };
  tape.record("recompute", {piece.result}, {x, tape.recompute_lock()}, Work{.in_parts = true}, run_again,
              piece.leaves);
  return piece.result;
}

}  // namespace inkling
