// GELU, computed with tanh, which is the approximation that GPT-2 was trained with (Hendrycks & Gimpel 2016).
// GELU multiplies x by the probability that a standard normal number is less than x.
//
// Forward, for each number:
//   u = sqrt(2/pi) (x + 0.044715 x^3)
//   y = x/2 (1 + tanh u)
// With the logistic function s(v) = 1 / (1 + e^-v) we have (1 + tanh u) / 2 = s(2u), so
//   y = x s(2u) = x / (1 + e^(-2u))
// and y needs one exp and one division, and loses no digits where tanh u is near -1.
//
// Backward, given dy = dL/dy:
//   s' = s (1 - s), so with s = s(2u)
//   dy/dx = s + x s (1 - s) 2u',  u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2)
//   dx    = dy * dy/dx
//   For |x| > 12, s equals 0 or 1 to more digits than a float has. For such x, the derivative is computed at
//   12 or -12, because x^2 could overflow, and 0 * inf would give NaN.
//
// In training, GELU runs as gelu_forward and gelu_backward in ops/gelu_simd.h.
//
// Shapes: x, y, dx, dy (n).
#pragma once

#include "core/tape.h"

namespace inkling {

constexpr double kGeluTwoRoot2Pi = 1.5957691216057307;  // 2 sqrt(2/pi), the factor of 2u
constexpr double kGeluCubic = 0.044715;
constexpr double kGeluCut = 12;

// GELU of x (...): returns (...). x is f32 or bf16; y and dx have the same dtype. The arithmetic is f32.
Tensor gelu(Tape& tape, const Tensor& x);

namespace reference {  // T is float or double

template <class T>
void gelu_forward(T* y, const T* x, std::int64_t n);

template <class T>  // dx is accumulated
void gelu_backward(T* dx, const T* dy, const T* x, std::int64_t n);

}  // namespace reference

}  // namespace inkling
