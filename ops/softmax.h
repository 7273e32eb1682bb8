// Softmax over the last axis: numbers become probabilities in proportion to e^x.
//
// Forward, for each row x of C numbers:
//   m   = max_c x_c, taken off so that no e^x overflows; it cancels
//   e_c = e^(x_c - m)
//   y_c = e_c / sum_i e_i
//   -inf has probability 0. A row of nothing but -inf has no softmax: it comes out as NaN, as in PyTorch; so
//   does a row with +inf or NaN in it.
//
// Backward, given dy = dL/dy. From dy_i/dx_c = y_i (delta_ic - y_c):
//   dx_c = sum_i dy_i y_i (delta_ic - y_c) = y_c (dy_c - sum_i dy_i y_i)
//
// Shapes: x, y, dx, dy (rows, C).
#pragma once

#include "core/tape.h"

namespace inkling {

// x (..., C) -> (..., C)
Tensor softmax(Tape& tape, const Tensor& x);

namespace reference {  // T is float or double

template <class T>
void softmax_forward(T* y, const T* x, std::int64_t rows, std::int64_t C);

template <class T>  // dx is accumulated
void softmax_backward(T* dx, const T* dy, const T* y, std::int64_t rows, std::int64_t C);

}  // namespace reference

}  // namespace inkling
