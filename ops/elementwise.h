// Element-wise ops: arithmetic on two tensors, with broadcasting, and functions of one tensor.
//
// Broadcasting (NumPy's rule): shapes are aligned at their last axis. If an operand lacks an axis, or has
// size 1 along it, the operand is repeated along this axis to the size of the other operand. So (B, T, C) +
// (C) adds one row to all rows, and (V, 1) * (1, C) makes a table (V, C).
//
// Forward: y_i = a_i op b_i. Along a repeated axis, the operand's index is 0. Backward, given d = dL/dy_i:
//   y = a + b     da_i = d        db_i = d
//   y = a - b     da_i = d        db_i = -d
//   y = a * b     da_i = d b      db_i = d a
//   y = a / b     da_i = d / b    db_i = -d a / b^2
// A repeated element contributes to many elements of y, so its gradient is the sum over all of them: a
// repetition in forward becomes a sum in backward.
//
// Functions of one argument:
//   y = exp x     dx = d y
//   y = log x     dx = d / x
//   y = tanh x    dx = d (1 - y^2)
//   y = relu x    dx = d where x > 0, else 0             relu x = max(x, 0); NaN stays NaN
//   y = s x       dx = s d                               scale; neg x is -1 x
//   y = x + s     dx = d                                 shift
//
// These ops run as binary_forward, binary_backward, unary_forward and unary_backward in
// ops/elementwise_simd.h. GPT-2 does not use them in training: linear_add (ops/linear.h) adds the residual
// connections.
//
// All tensors of element-wise ops are f32 and have at most four axes. Results are contiguous. An operand that
// is not contiguous is copied first (ops/views.h).
#pragma once

#include "core/tape.h"

namespace inkling {

enum class Binary : std::uint8_t { add, sub, mul, div };
enum class Unary : std::uint8_t { exp, log, tanh, relu, scale, shift };
enum class Side : std::uint8_t { a, b };

Tensor add(Tape& tape, const Tensor& a, const Tensor& b);  // for example for a residual connection
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

// One operand of an element-wise kernel, for a run of elements: element i is data[i * step]. The step is 1,
// or 0 if the operand has only one element, which is used for the whole run.
struct Operand {
  const float* data;
  std::int64_t step;
};

// Returns the shape of `a op b`. Error if the shapes cannot be broadcast to each other; the Error names `op`.
Shape broadcast(const char* op, const Shape& a, const Shape& b);

namespace reference {  // T is float or double

template <class T>  // y has the shape broadcast(a_shape, b_shape)
void binary_forward(Binary op, T* y, const T* a, const T* b, const Shape& a_shape, const Shape& b_shape);

template <class T>  // da and db are accumulated
void binary_backward(Binary op, T* da, T* db, const T* dy, const T* a, const T* b, const Shape& a_shape,
                     const Shape& b_shape);

template <class T>  // s is the number of scale and shift; other functions ignore it
void unary_forward(Unary op, T* y, const T* x, std::int64_t n, T s);

template <class T>  // dx is accumulated
void unary_backward(Unary op, T* dx, const T* dy, const T* x, const T* y, std::int64_t n, T s);

}  // namespace reference

}  // namespace inkling
