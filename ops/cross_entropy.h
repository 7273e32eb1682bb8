// Cross-entropy: minus the logarithm of the probability that a row of logits gives to its target, averaged.
//
// Forward, for each row x of logits with target t, over the vocabulary's V columns:
//   m    = max_v x_v                            taken off so that no e^x overflows
//   s    = sum_v e^(x_v - m)
//   loss = -log(e^(x_t - m) / s) = (m - x_t) + log s
// A target of -1 takes no part: its loss is 0 and it is not counted. The mean is over those counted.
// Columns V .. Vp-1 (a vocabulary padded to a round number, as llm.c does) take no part either.
//
// Backward: with p_v = e^(x_v - m) / s, d loss / d x_v = p_v - [v = t]. Times scale = d L / d loss, which is
// 1 / counted for the mean. Rows with target -1 and columns from V on have gradient 0.
//
// One pass over memory for m and s: blocks small enough for the L1 cache are read for their maximum and, from
// there, for their sum; when a block raises the maximum from m to m', what was summed before is brought along
// with e^(m - m') (the online softmax of Milakov & Gimelshein 2018). The kernel in place does a row's
// backward while the row is still in the L2 cache: each logit is read from memory once, its gradient written
// once. It can also write the gradient as bf16: row r's takes the first half of the memory of row r's
// logits, so rows stay Vp floats apart.
//
// A row of nothing but -inf, or with NaN or +inf in it, has loss NaN.
//
// Shapes: logits, dlogits (rows, Vp); targets, losses, row_max, row_sum (rows).
#pragma once

#include "core/tape.h"

namespace inkling {

// logits (..., Vp), targets i32 (...) -> the mean loss, a scalar. Error when a target is none of -1 ..
// vocab-1, or all are -1. The targets' memory must live until backward.
Tensor cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets, std::int64_t vocab);

// How many of n targets are not -1. Error, in the name of `op`, unless each is -1 or in [0, vocab).
std::int64_t count_targets(const char* op, const std::int32_t* targets, std::int64_t n, std::int64_t vocab);

// The sum of n losses, in order, so that it is the same on any number of threads.
double sum_losses(const float* losses, std::int64_t n);

namespace reference {  // T is float or double

template <class T>
void cross_entropy_forward(T* losses, const T* logits, const std::int32_t* targets, std::int64_t rows,
                           std::int64_t vocab, std::int64_t Vp);

template <class T>  // dlogits is accumulated
void cross_entropy_backward(T* dlogits, const T* logits, const std::int32_t* targets, T scale,
                            std::int64_t rows, std::int64_t vocab, std::int64_t Vp);

}  // namespace reference

}  // namespace inkling
