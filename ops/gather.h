// Picking by index: whole rows of a table, or one element of every row.
//
//   gather  y[n, :] = table[ids[n], :]        dtable[v, :] = sum over the n with ids[n] = v of dy[n, :]
//   pick    y[n]    = x[n, ids[n]]            dx[n, v] = dy[n] if v = ids[n], else 0
//
// gather is what an embedding is: a product with one-hot rows, without the zeros. pick takes log p(correct)
// out of log p.
//
// Many positions can name one row. So that no two threads add to one place and the order of a sum is always
// that of positions, the backward of gather is cut by columns: every task walks all positions and adds its
// own columns of dy.
//
// An id outside the table is an Error that names its place and value, before anything is read. The ids'
// memory must live until backward.
#pragma once

#include "core/tape.h"

namespace inkling {

// table (V, C), ids i32 (...) -> (..., C)
Tensor gather(Tape& tape, const Tensor& table, const Tensor& ids);

// x (..., V), ids i32 (...) -> (...)
Tensor pick(Tape& tape, const Tensor& x, const Tensor& ids);

// Error unless ids is i32, contiguous, and 0 <= id < V for each:
// "gather: ids(0, 3) is 70000, expected 0 <= id < 50257".
void check_ids(const char* op, const Tensor& ids, std::int64_t V);

// dtable[ids[n], :] += dy[n, :] for n = 0 .. N-1 in this order, in parallel over columns.
void scatter_add(float* dtable, const float* dy, const std::int32_t* ids, std::int64_t N, std::int64_t C);

namespace reference {  // T is float or double

template <class T>
void gather_forward(T* y, const T* table, const std::int32_t* ids, std::int64_t N, std::int64_t C);

template <class T>  // dtable is accumulated
void gather_backward(T* dtable, const T* dy, const std::int32_t* ids, std::int64_t N, std::int64_t C);

template <class T>
void pick_forward(T* y, const T* x, const std::int32_t* ids, std::int64_t N, std::int64_t V);

template <class T>  // dx is accumulated
void pick_backward(T* dx, const T* dy, const std::int32_t* ids, std::int64_t N, std::int64_t V);

}  // namespace reference

}  // namespace inkling
