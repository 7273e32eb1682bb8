// Views: contiguous copies of tensors that are not contiguous.
//
// reshape, transpose and slice are methods of Tensor: they copy nothing, share the gradient's slot and need
// no node on the tape. Most ops need contiguous operands: all elements in one block, the last axis fastest,
// as in C arrays. contiguous() copies a view that is not contiguous:
//   y[i, j, k, l] = x[i, j, k, l]
//   backward: dx[i, j, k, l] += dy[i, j, k, l], at the elements that x views
// Two different indices of a view are never the same element, so the additions may run in any order and in
// parallel.
#pragma once

#include "core/tape.h"

namespace inkling {

// Returns x itself if it is contiguous, otherwise a contiguous copy. x is f32.
Tensor contiguous(Tape& tape, const Tensor& x);

}  // namespace inkling
