// The linear layer: multiplies each row of x with each row of a weight matrix (dot products).
//
// Forward: y_mo = sum_i x_mi weight_oi + bias_o, that is Y = X W^T + b.
//
// Backward, given dy = dL/dy. x_mi contributes to y_mo for every o; weight_oi contributes to y_mo for every
// m:
//   dx_mi      = sum_o dy_mo weight_oi        dX = dY W
//   dweight_oi = sum_m dy_mo x_mi             dW = dY^T X
//   dbias_o    = sum_m dy_mo
//
// dX and dW are two nodes on the tape, because the layers below wait only for dX. The node of dW and dbias is
// recorded first. Backward runs in reverse order, so it starts with dX and leaves dW and dbias to idle
// threads.
//
// In training this runs as forward, weight_gradient, input_gradient and residual_gradient in ops/linear.cc,
// which call gemm (ops/gemm/gemm.h) or gemm_bf16 (ops/gemm/gemm_bf16.h).
//
// Shapes: x, dx (M, IC); weight, dweight (OC, IC); bias, dbias (OC); y, dy (M, OC).
#pragma once

#include "core/tape.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/gemm/gemv_int8.h"

namespace inkling {

// The weight of a linear layer: an f32 matrix (OC, IC), and copies of it in other number formats. With the
// packed copies of ops/gemm/gemm_bf16.h, products are computed in bf16; then x may be bf16, and a gradient
// has the dtype of its tensor. With the copy of ops/gemm/gemv_int8.h, weights have 8 bits; then x is f32 and
// there is no backward.
struct Weight {
  Weight(const Tensor& f32_values) : values(f32_values) {}  // implicit: a plain matrix is a weight
  Weight(const Tensor& f32_values, const bf16* forward, const bf16* backward)
      : values(f32_values), packed(forward), packed_transposed(backward) {}
  Weight(const Tensor& f32_values, const Int8Matrix& quantised) : values(f32_values), int8(quantised) {}

  Tensor values;
  const bf16* packed = nullptr;             // W^T (IC, OC), packed for Y = X W^T
  const bf16* packed_transposed = nullptr;  // W (OC, IC), for dX = dY W; nullptr without backward
  Int8Matrix int8;                          // int8.q is nullptr if the weight has no 8-bit copy
};

// Computes y (M,OC) = x (M,IC) W^T, plus the bias and the addend given in `y`, in the number format of W. The
// rows of x are contiguous. An operand in bf16 needs a packed W.
void multiply_by_weight(const MatrixOut<float>& y, const MatrixIn<float>& x, const Weight& W, std::int64_t M);
void multiply_by_weight(const MatrixOut<float>& y, const MatrixIn<bf16>& x, const Weight& W, std::int64_t M);
void multiply_by_weight(const MatrixOut<bf16>& y, const MatrixIn<bf16>& x, const Weight& W, std::int64_t M);

// The linear layer for x (..., IC) contiguous, weight (OC, IC), and bias (OC) or Tensor{} for no bias.
// Returns (..., OC), with x's dtype.
Tensor linear(Tape& tape, const Tensor& x, const Weight& weight, const Tensor& bias);

// Returns residual + linear(x), both (..., OC) f32. linear_add() is faster than linear() and add(), because
// it writes the sum once and does not read it again.
Tensor linear_add(Tape& tape, const Tensor& residual, const Tensor& x, const Weight& weight,
                  const Tensor& bias);

namespace reference {  // T is float or double

template <class T>  // bias may be nullptr
void linear_forward(T* y, const T* x, const T* weight, const T* bias, std::int64_t M, std::int64_t IC,
                    std::int64_t OC);

template <class T>
struct LinearGradients {  // all are accumulated
  T *dx, *dweight, *dbias;
};
template <class T>
void linear_backward(const LinearGradients<T>& to, const T* dy, const T* x, const T* weight, std::int64_t M,
                     std::int64_t IC, std::int64_t OC);

}  // namespace reference

}  // namespace inkling
