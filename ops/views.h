// Views and their copies.
//
// reshape, transpose and slice are methods of Tensor: they copy nothing, share the gradient's slot and need
// no node on the tape. Most ops want their operands in one piece, the last axis fastest, as C lays out
// arrays; a view that is not is copied:
//   y[i, j, k, l] = x[i, j, k, l]     backward: dx[i, j, k, l] += dy[i, j, k, l], at the places x views
// Two indices of one view never name the same element, so elements can be added to in any order and in
// parallel.
#pragma once

#include "core/tape.h"

namespace inkling {

// x itself if it is contiguous, otherwise a copy that is. f32.
Tensor contiguous(Tape& tape, const Tensor& x);

}  // namespace inkling
