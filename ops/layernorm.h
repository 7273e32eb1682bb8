// Layer normalisation (Ba, Kiros, Hinton 2016): each row is shifted and scaled to mean 0 and variance 1, then
// multiplied by a weight and shifted by a bias.
//
// Forward, for each row x of C numbers:
//   mean = 1/C sum_c x_c
//   var  = 1/C sum_c (x_c - mean)^2
//   rstd = 1 / sqrt(var + eps),  eps = 1e-5 as in GPT-2
//   n_c  = (x_c - mean) * rstd                  the normalised value
//   y_c  = n_c * weight_c + bias_c
//
// Backward, given dy = dL/dy:
//   dbias_c   = sum over rows of dy_c
//   dweight_c = sum over rows of dy_c * n_c
//   g_c = dy_c * weight_c = dL/dn_c. n depends on x directly, through the mean, and through rstd:
//     dn_i/dx_c = rstd * (delta_ic - 1/C - n_i n_c / C)
//   so dx_c = sum_i g_i dn_i/dx_c = rstd * (g_c - mean_i(g_i) - n_c * mean_i(g_i n_i)).
//
// In training, layer normalisation runs as layernorm_forward and layernorm_backward in ops/layernorm_simd.h.
//
// Shapes: x, y, dx, dy (rows, C); mean, rstd (rows); weight, bias, dweight, dbias (C).
#pragma once

#include "core/tape.h"

namespace inkling {

constexpr float kLayerNormEps = 1e-5f;

// Layer normalisation of x (..., C) with weight (C) and bias (C). Returns (..., C) with dtype `out`, f32 or
// bf16. The arithmetic and dx are f32.
Tensor layernorm(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                 DType out = DType::f32);

// The arguments of the kernels and of the reference, with the shapes above. T is the type of y and dy, Real
// the type of all other arrays. In kernels T is float or bf16, and Real is float.
template <class T, class Real>
struct LayerNormForward {
  T* y;
  Real *mean, *rstd;
  const Real *x, *weight, *bias;
  std::int64_t rows, C;
};
template <class T, class Real>
struct LayerNormBackward {
  Real *dx, *dweight, *dbias;  // dx is assigned, or added to; dweight and dbias are added to
  const T* dy;
  const Real *x, *weight, *mean, *rstd;
  std::int64_t rows, C;
  bool accumulate;  // add to dx
};

namespace reference {  // T is float or double

template <class T>
void layernorm_forward(const LayerNormForward<T, T>& arguments);

template <class T>
void layernorm_backward(const LayerNormBackward<T, T>& arguments);

}  // namespace reference

}  // namespace inkling
