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
#include "ops/gemm_bf16.h"
#include "ops/gemv_int8.h"

namespace inkling {

// What a linear layer multiplies by: f32 (OC, IC). With the packed copies of ops/gemm_bf16.h the products are
// computed in bf16; x may be bf16 then, and gradients have the dtype of what they are the gradient of. With
// that of ops/gemv_int8.h the weights are of 8 bits; x is f32, and there is no backward.
struct Weight {
  Weight(const Tensor& f32_values) : values(f32_values) {}  // implicit: a plain matrix is a weight
  Weight(const Tensor& f32_values, const bf16* forward, const bf16* backward)
      : values(f32_values), packed(forward), packed_transposed(backward) {}
  Weight(const Tensor& f32_values, const Int8Matrix& quantised) : values(f32_values), int8(quantised) {}

  Tensor values;
  const bf16* packed = nullptr;             // as W^T (IC, OC), for Y = X W^T
  const bf16* packed_transposed = nullptr;  // as W (OC, IC), for dX = dY W; nullptr if there is no backward
  Int8Matrix int8;                          // its q is nullptr if this is not the form to use
};

// y (M,OC) = x (M,IC) W^T, and what `y` says is added, in the form that W is in. x and y are contiguous, and
// f32 unless W is packed.
void multiply(const Sums& y, const PackSource& x, const Weight& W, std::int64_t M);

// x (..., IC) contiguous, weight (OC, IC), bias (OC) or Tensor{} -> (..., OC), of x's dtype
Tensor linear(Tape& tape, const Tensor& x, const Weight& weight, const Tensor& bias);

// residual + linear(x): residual (..., OC) f32 -> (..., OC) f32. One pass less over both than add() needs.
Tensor linear_add(Tape& tape, const Tensor& residual, const Tensor& x, const Weight& weight,
                  const Tensor& bias);

namespace reference {  // T is float or double

template <class T>  // bias may be nullptr
void linear_forward(T* y, const T* x, const T* weight, const T* bias, std::int64_t M, std::int64_t IC,
                    std::int64_t OC);

template <class T>  // dx, dweight and dbias are accumulated
void linear_backward(T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* weight, std::int64_t M,
                     std::int64_t IC, std::int64_t OC);

}  // namespace reference

}  // namespace inkling
