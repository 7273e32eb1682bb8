// GPT-2's embedding: for each token, the token's row of the table wte plus the position's row of the table
// wpe.
//
//   y[b, t, :] = wte[ids[b, t], :] + wpe[first_position + t, :]
// Backward:
//   dwte[v, :] = sum over the (b, t) with ids[b, t] = v of dy[b, t, :]      as in ops/gather.h
//   dwpe[first_position + t, :] = sum_b dy[b, t, :]                         zero for positions not used
//
// If a row holds several documents (attention/attention.h), each token has its own position:
//   y[b, t, :] = wte[ids[b, t], :] + wpe[positions[b, t], :]
//   dwpe[p, :] = sum over the (b, t) with positions[b, t] = p of dy[b, t, :]
//
// In training this runs as embedding and backward in ops/embedding.cc; backward calls scatter_add
// (ops/gather.h).
//
// Shapes: wte (Vp, C), where the first `vocab` rows are tokens and the others are padding; wpe (maxT, C);
// ids i32 (B, T).
#pragma once

#include "core/tape.h"

namespace inkling {

// Returns the embeddings of ids (B, T): a tensor (B, T, C). Error for an id outside 0 .. vocab-1 (the message
// gives its place), for positions beyond maxT, and for shapes that do not fit. first_position is the position
// of the first token; with a KV cache it is the number of tokens in the cache. With positions i32 (B, T),
// first_position is not used. The memory of ids and positions must live until backward.
Tensor embedding(Tape& tape, const Tensor& wte, const Tensor& wpe, const Tensor& ids, std::int64_t vocab,
                 std::int64_t first_position = 0, const Tensor& positions = {});

namespace reference {  // Real is float or double; wpe points to the row of the first position

template <class Real>
void embedding_forward(Real* y, const Real* wte, const Real* wpe, const std::int32_t* ids, std::int64_t B,
                       std::int64_t T, std::int64_t C);

template <class Real>  // dwte and dwpe are accumulated
void embedding_backward(Real* dwte, Real* dwpe, const Real* dy, const std::int32_t* ids, std::int64_t B,
                        std::int64_t T, std::int64_t C);

}  // namespace reference

}  // namespace inkling
