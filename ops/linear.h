// The linear layer: every row of x times the rows of a matrix of weights.
//
// Forward: y_mo = sum_i x_mi weight_oi + bias_o, that is Y = X W^T + b.
//
// Backward, given dy = dL/dy. x_mi reaches y_mo for every o, weight_oi reaches it for every m:
//   dx_mi      = sum_o dy_mo weight_oi        dX = dY W
//   dweight_oi = sum_m dy_mo x_mi             dW = dY^T X
//   dbias_o    = sum_m dy_mo
//
// These are two nodes on the tape: only dX is waited for by the layers below. dW and dbias are recorded
// first, so that backward takes dX up first and fills idle threads with the others.
//
// Shapes: x, dx (M, IC); weight, dweight (OC, IC); bias, dbias (OC); y, dy (M, OC).
#pragma once

#include "core/tape.h"

namespace inkling {

// x (..., IC) contiguous, weight (OC, IC), bias (OC) or Tensor{} -> (..., OC)
Tensor linear(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias);

namespace reference {  // T is float or double

template <class T>  // bias may be nullptr
void linear_forward(T* y, const T* x, const T* weight, const T* bias, std::int64_t M, std::int64_t IC,
                    std::int64_t OC);

template <class T>  // dx, dweight and dbias are accumulated
void linear_backward(T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* weight, std::int64_t M,
                     std::int64_t IC, std::int64_t OC);

}  // namespace reference

}  // namespace inkling
