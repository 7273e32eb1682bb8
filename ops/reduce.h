// Sum, mean and maximum of a tensor over one axis, or over all elements.
//
// The axis has n elements; the tensor is contiguous and is treated as (outer, n, inner). For every o and i:
//   sum    y[o, i] = sum_k x[o, k, i]         dx[o, k, i] = dy[o, i]
//   mean   y[o, i] = 1/n sum_k x[o, k, i]     dx[o, k, i] = dy[o, i] / n
//   max    y[o, i] = max_k x[o, k, i]         dx[o, k, i] = dy[o, i] if k is the first with
//                                                           x[o, k, i] = y[o, i], else 0
// Where two elements are equal to the maximum, the maximum has no derivative; the first of these elements
// gets the whole gradient, as in PyTorch's max over an axis. If one element is NaN, the maximum is NaN, so
// that a NaN is not lost.
//
// The order of a sum depends only on the shape. Sums are cut into pieces that are short enough for float to
// remain accurate. Along the last axis, a piece has 16384 elements, and the sums of the pieces are added in
// double. Along other axes, neighbouring columns are summed at the same time, in blocks of 128 rows.
//
// These ops run as sum_row, sum_columns, max_row, max_columns and add_scaled in ops/reduce_simd.h. GPT-2 does
// not use the ops in training, but the gradient of a bias (ops/linear.cc) runs as sum_columns.
#pragma once

#include "core/tape.h"

namespace inkling {

// Reduces x (...) f32 over one axis. The result has x's shape without `axis`; if `keepdim`, the axis stays
// with size 1.
Tensor sum(Tape& tape, const Tensor& x, int axis, bool keepdim = false);
Tensor mean(Tape& tape, const Tensor& x, int axis, bool keepdim = false);
Tensor max(Tape& tape, const Tensor& x, int axis, bool keepdim = false);

// Reduces x (...) f32 over all elements. The result is a scalar ().
Tensor sum(Tape& tape, const Tensor& x);
Tensor mean(Tape& tape, const Tensor& x);
Tensor max(Tape& tape, const Tensor& x);

// Computes out[o, i] = (or +=) scale * sum_k x[o, k, i], in parallel. sum(), mean() and the gradient of a
// broadcast operand use it.
void sum_axis(GradientTarget<> out, const float* x, std::int64_t outer, std::int64_t n, std::int64_t inner,
              float scale);

namespace reference {  // T is float or double

template <class T>
void sum_forward(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner, T scale);

template <class T>  // dx is accumulated
void sum_backward(T* dx, const T* dy, std::int64_t outer, std::int64_t n, std::int64_t inner, T scale);

template <class T>
void max_forward(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner);

template <class T>  // dx is accumulated
void max_backward(T* dx, const T* dy, const T* x, const T* y, std::int64_t outer, std::int64_t n,
                  std::int64_t inner);

}  // namespace reference

}  // namespace inkling
