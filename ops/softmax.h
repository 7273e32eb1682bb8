// Softmax over the last axis: turns numbers x into probabilities that are proportional to e^x.
//
// Forward, for each row x of C numbers:
//   m   = max_c x_c, subtracted so that no e^x overflows; it cancels in y
//   e_c = e^(x_c - m)
//   y_c = e_c / sum_i e_i
//   The softmax of -inf is 0. A row whose numbers are all -inf has no softmax; the result is NaN, as in
//   PyTorch. A row with +inf or NaN also gives NaN.
//
// Backward, given dy = dL/dy. From dy_i/dx_c = y_i (delta_ic - y_c):
//   dx_c = sum_i dy_i y_i (delta_ic - y_c) = y_c (dy_c - sum_i dy_i y_i)
//
// This op runs as softmax_forward and softmax_backward in ops/softmax_simd.h. A GPT's training computes its
// two softmaxes inside larger ops: attention_forward (ops/attention/attention.h) and cross_entropy_in_place
// (ops/cross_entropy.h).
//
// Shapes: x, y, dx, dy (rows, C).
#pragma once

#include "core/tape.h"

namespace inkling {

// Softmax over the last axis of x (..., C). Returns (..., C).
Tensor softmax(Tape& tape, const Tensor& x);

namespace reference {  // T is float or double

template <class T>
void softmax_forward(T* y, const T* x, std::int64_t rows, std::int64_t C);

template <class T>  // dx is accumulated
void softmax_backward(T* dx, const T* dy, const T* y, std::int64_t rows, std::int64_t C);

}  // namespace reference

}  // namespace inkling
