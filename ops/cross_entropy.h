// Cross-entropy: minus the logarithm of the probability that a row of logits gives to its target, averaged
// over the rows.
//
// Forward, for each row x of logits with target t, over the vocabulary's V columns:
//   m    = max_v x_v                            subtracted so that no e^x overflows
//   s    = sum_v e^(x_v - m)
//   loss = -log(e^(x_t - m) / s) = (m - x_t) + log s
// A row with target -1 is masked: its loss is 0, and the mean is taken over the other rows only. The columns
// V .. Vp-1 round the size of the vocabulary up, as in llm.c; they are not part of the softmax.
//
// Backward: with p_v = e^(x_v - m) / s, d loss / d x_v = p_v - [v = t]. This derivative is multiplied by
// scale = dL/dloss, which is 1 / (number of unmasked rows) for the mean. Masked rows, and the columns from V
// on, have gradient 0.
//
// The kernels compute m and s of a row in one pass over memory. A row is cut into blocks that are small
// enough for the L1 cache. For each block, first its maximum is computed, then its sum. When a block raises
// the maximum from m to m', the sum so far is multiplied by e^(m - m') (the online softmax of Milakov &
// Gimelshein 2018). The in-place kernel computes a row's gradient while the row is still in the L2 cache:
// each logit is read from memory once, and its gradient is written once. The gradient can also be written as
// bf16. Then row r's gradient takes the first half of the memory of row r's logits, so rows remain Vp floats
// apart.
//
// The loss of a row is NaN if all its logits are -inf, or if one is NaN or +inf.
//
// In training, cross-entropy runs as cross_entropy_in_place in ops/cross_entropy_simd.h, which
// ops/linear_cross_entropy.cc calls.
//
// Shapes: logits, dlogits (rows, Vp); targets, losses, row_max, row_sum (rows).
#pragma once

#include "core/tape.h"

namespace inkling {

// Cross-entropy of logits (..., Vp) and targets i32 (...): returns the mean loss, a scalar. Error if a target
// is not in -1 .. vocab-1, or if all targets are -1. The targets' memory must live until backward.
Tensor cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets, std::int64_t vocab);

// Returns the number of targets that are not -1. Error if a target is outside -1 .. vocab-1; the message
// names `op`.
std::int64_t count_targets(const char* op, const std::int32_t* targets, std::int64_t n, std::int64_t vocab);

// Returns the sum of n losses. They are always added in the same order, so the sum does not depend on the
// number of threads.
double sum_losses(const float* losses, std::int64_t n);

// Rows of logits, as the kernels take them: targets (rows), logits (rows, Vp).
struct TargetRows {
  const std::int32_t* targets;
  std::int64_t rows, vocab, Vp;
};

namespace reference {  // T is float or double

template <class T>
void cross_entropy_forward(T* losses, const T* logits, const std::int32_t* targets, std::int64_t rows,
                           std::int64_t vocab, std::int64_t Vp);

template <class T>  // dlogits is accumulated
void cross_entropy_backward(T* dlogits, const T* logits, const std::int32_t* targets, T scale,
                            std::int64_t rows, std::int64_t vocab, std::int64_t Vp);

}  // namespace reference

}  // namespace inkling
