// Gather and pick select elements by index: gather selects whole rows of a table, pick selects one element of
// every row.
//
//   gather  y[n, :] = table[ids[n], :]        dtable[v, :] = sum over the n with ids[n] = v of dy[n, :]
//   pick    y[n]    = x[n, ids[n]]            dx[n, v] = dy[n] if v = ids[n], else 0
//
// An embedding is a gather: it equals a product with one-hot rows, but does not multiply by the zeros. pick
// selects the log probability of the correct token from a row of log probabilities.
//
// Several positions may have the same id and add to the same row of dtable. Therefore the backward of gather
// is divided by columns: each task goes over all positions in order and adds its own columns of dy. So no two
// threads write to the same element, and every sum is added in the same order.
//
// In training, the embedding (ops/embedding.h) runs scatter_add in ops/gather.cc. GPT-2 does not use the ops
// gather and pick in training.
//
// An id outside the table is an Error that gives the id and its position. The ids are checked before any row
// is read. The ids' memory must live until backward.
#pragma once

#include "core/tape.h"

namespace inkling {

// Gathers rows of table (V, C) by ids i32 (...). Returns (..., C).
Tensor gather(Tape& tape, const Tensor& table, const Tensor& ids);

// Picks one element of each row of x (..., V) by ids i32 (...). Returns (...).
Tensor pick(Tape& tape, const Tensor& x, const Tensor& ids);

// Error unless ids is i32 and contiguous, and every id satisfies 0 <= id < V. A message is for example
// "gather: ids(0, 3) is 70000, expected 0 <= id < 50257".
void check_ids(const char* op, const Tensor& ids, std::int64_t V);

// Computes dtable[ids[n], :] += dy[n, :] for n = 0 .. N-1, in this order; parallel over columns.
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
