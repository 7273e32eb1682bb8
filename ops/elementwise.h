// Arithmetic of two tensors, element by element with broadcasting, and functions of one.
//
// Broadcasting (NumPy's rule): shapes are aligned at their last axis; an axis that one operand lacks, or has
// with size 1, is repeated to the other's size. So (B, T, C) + (C) adds one row to all rows, and (V, 1) * (1,
// C) makes a table (V, C).
//
// Forward, y_i = a_i op b_i, an operand's index along a repeated axis being 0; backward, given d = dL/dy_i:
//   y = a + b     da_i = d        db_i = d
//   y = a - b     da_i = d        db_i = -d
//   y = a * b     da_i = d b      db_i = d a
//   y = a / b     da_i = d / b    db_i = -d a / b^2
// An element that was repeated takes part in many y, and its gradient is the sum of what each of them gives:
// repeating forward is summing backward.
//
// Functions of one argument:
//   y = exp x     dx = d y
//   y = log x     dx = d / x
//   y = tanh x    dx = d (1 - y^2)
//   y = relu x    dx = d where x > 0, else 0             relu x = max(x, 0); a NaN stays one
//   y = s x       dx = s d                               scale; neg x is -1 x
//   y = x + s     dx = d                                 shift
//
// All tensors are f32, of at most four axes. Results are contiguous; an operand that is not is copied first
// (ops/views.h).
#pragma once

#include "core/tape.h"

namespace inkling {

enum class Binary : std::uint8_t { add, sub, mul, div };
enum class Unary : std::uint8_t { exp, log, tanh, relu, scale, shift };
enum class Side : std::uint8_t { a, b };

Tensor add(Tape& tape, const Tensor& a, const Tensor& b);  // also the residual connection of a transformer
Tensor sub(Tape& tape, const Tensor& a, const Tensor& b);
Tensor mul(Tape& tape, const Tensor& a, const Tensor& b);
Tensor div(Tape& tape, const Tensor& a, const Tensor& b);

Tensor exp(Tape& tape, const Tensor& x);
Tensor log(Tape& tape, const Tensor& x);
Tensor tanh(Tape& tape, const Tensor& x);
Tensor relu(Tape& tape, const Tensor& x);
Tensor neg(Tape& tape, const Tensor& x);
Tensor scale(Tape& tape, const Tensor& x, float factor);
Tensor add(Tape& tape, const Tensor& x, float number);

// The shape of `a op b`. Error, in the name of `op`, if the two do not go together.
Shape broadcast(const char* op, const Shape& a, const Shape& b);

namespace reference {  // T is float or double

template <class T>  // y has the shape broadcast(a_shape, b_shape)
void binary_forward(Binary op, T* y, const T* a, const T* b, const Shape& a_shape, const Shape& b_shape);

template <class T>  // da and db are accumulated
void binary_backward(Binary op, T* da, T* db, const T* dy, const T* a, const T* b, const Shape& a_shape,
                     const Shape& b_shape);

template <class T>  // s is what scale and shift take
void unary_forward(Unary op, T* y, const T* x, std::int64_t n, T s);

template <class T>  // dx is accumulated
void unary_backward(Unary op, T* dx, const T* dy, const T* x, const T* y, std::int64_t n, T s);

}  // namespace reference

}  // namespace inkling
