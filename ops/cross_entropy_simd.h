// Cross-entropy, vectorised along a row of logits. The mathematics, and why blocks, is in
// ops/cross_entropy.h.
#pragma once

#include <limits>

#include "ops/cross_entropy.h"
#include "ops/math_simd.h"
#include "ops/simd.h"
#include "ops/softmax_simd.h"

namespace inkling::simd {

template <class V>
struct RowStatistics {                                  // of the numbers seen so far
  float max = -std::numeric_limits<float>::infinity();  // m
  float sum = 0.0f;                                     // s, of e^(x - m)
};

template <class V>
float exp_of_one(float x) {
  alignas(64) float lanes[V::kLanes];
  store(lanes, exp(V(x)));
  return lanes[0];
}

// Sum of e^(x_i - m) over n numbers, which are kept in e if so asked; e may be x.
template <class V, bool kKeep>
float sum_exp(float* e, const float* x, V m, std::int64_t n) {
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  V total(0.0f);
  for (std::int64_t i = 0; i < body; i += V::kLanes) {
    const V e_i = exp(load<V>(x + i) - m);
    total += e_i;
    if constexpr (kKeep) store(e + i, e_i);
  }
  if (tail != 0) {
    const V e_i = exp(load_n<V>(x + body, tail, -std::numeric_limits<float>::infinity()) - m);
    total += e_i;
    if constexpr (kKeep) store_n(e + body, e_i, tail);
  }
  return sum(total);
}

// Adds a block of n numbers to a row's statistics.
template <class V, bool kKeep>
void add_block(RowStatistics<V>& row, float* e, const float* x, std::int64_t n) {
  constexpr float kMinusInf = -std::numeric_limits<float>::infinity();
  const float block_max = max_of<V>(x, n);
  const float raised = block_max > row.max ? block_max : row.max;
  const float taken_off = raised == kMinusInf ? 0.0f : raised;  // nothing but -inf yet: -inf - -inf is NaN
  row.sum = row.sum * exp_of_one<V>(row.max - taken_off) + sum_exp<V, kKeep>(e, x, V(taken_off), n);
  row.max = raised;
}

template <class V>
RowStatistics<V> row_statistics(const float* x, std::int64_t vocab) {
  constexpr std::int64_t kBlock = 2048;  // 8 KiB
  RowStatistics<V> row;
  for (std::int64_t begin = 0; begin < vocab; begin += kBlock) {
    add_block<V, false>(row, nullptr, x + begin, vocab - begin < kBlock ? vocab - begin : kBlock);
  }
  return row;
}

template <class V>
float row_loss(RowStatistics<V> row, float target_logit) {
  alignas(64) float log_sum[V::kLanes];
  store(log_sum, log(V(row.sum)));
  return (row.max - target_logit) + log_sum[0];
}

template <class V, class T>
void zero(T* d, std::int64_t n) {
  __builtin_memset(static_cast<void*>(d), 0, static_cast<std::size_t>(n) * sizeof(T));
}

// d_v = scale (p_v - [v = target])
template <class V>
void row_gradient(float* d, const float* x, RowStatistics<V> row, std::int32_t target, float scale,
                  std::int64_t vocab, std::int64_t Vp, bool accumulate) {
  const std::int64_t tail = vocab % V::kLanes, body = vocab - tail;
  const V m(row.max), scale_over_sum(scale / row.sum);
  for (std::int64_t v = 0; v < body; v += V::kLanes) {
    const V before = accumulate ? load<V>(d + v) : V(0.0f);
    store(d + v, fma(exp(load<V>(x + v) - m), scale_over_sum, before));
  }
  if (tail != 0) {
    const V before = accumulate ? load_n<V>(d + body, tail) : V(0.0f);
    store_n(d + body, fma(exp(load_n<V>(x + body, tail) - m), scale_over_sum, before), tail);
  }
  d[target] -= scale;
  if (accumulate) return;
  zero<V>(d + vocab, Vp - vocab);
}

template <class V>
void cross_entropy_forward(float* losses, float* row_max, float* row_sum, const float* logits,
                           const std::int32_t* targets, std::int64_t rows, std::int64_t vocab,
                           std::int64_t Vp) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    losses[r] = 0.0f;
    if (targets[r] < 0) continue;
    const RowStatistics<V> row = row_statistics<V>(logits + r * Vp, vocab);
    losses[r] = row_loss<V>(row, logits[r * Vp + targets[r]]);
    row_max[r] = row.max;
    row_sum[r] = row.sum;
  }
}

template <class V>
void cross_entropy_backward(float* dlogits, const float* logits, const std::int32_t* targets,
                            const float* row_max, const float* row_sum, float scale, std::int64_t rows,
                            std::int64_t vocab, std::int64_t Vp, bool accumulate) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* d = dlogits + r * Vp;
    if (targets[r] >= 0) {
      row_gradient<V>(d, logits + r * Vp, {row_max[r], row_sum[r]}, targets[r], scale, vocab, Vp, accumulate);
    } else if (!accumulate) {
      zero<V>(d, Vp);
    }
  }
}

// y = factor x, for y that is x, or begins before it in the same memory
template <class V, class T>
void scale_array(T* y, const float* x, float factor, std::int64_t n) {
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += V::kLanes) store(y + i, load<V>(x + i) * V(factor));
  if (tail != 0) store_n(y + body, load_n<V>(x + body, tail) * V(factor), tail);
}

// A row's loss; its gradient, of type T, takes the place of x. There is one exp a number: pass 1 leaves
// e^(x - m) in x, with the maximum m as it was known at that block, and pass 2 makes up for what m rose
// since.
template <class V, class T>
float row_in_place(float* x, std::int32_t target, float scale, std::int64_t vocab, std::int64_t Vp) {
  constexpr std::int64_t kBlocks = 256, kSmallest = 2048;  // 8 KiB
  const std::int64_t spread = (vocab + kBlocks - 1) / kBlocks,
                     block = spread > kSmallest ? spread : kSmallest;
  const float target_logit = x[target];
  float d_target = 0.0f;
  T* d = reinterpret_cast<T*>(x);
  float m_then[kBlocks];
  RowStatistics<V> row;
  // pass 1: maximum, sum, e^(x - m)
  for (std::int64_t begin = 0; begin < vocab; begin += block) {
    add_block<V, true>(row, x + begin, x + begin, vocab - begin < block ? vocab - begin : block);
    m_then[begin / block] = row.max;
  }
  // pass 2: probabilities, less 1 for the target, times scale
  for (std::int64_t begin = 0; begin < vocab; begin += block) {
    const float factor = exp_of_one<V>(m_then[begin / block] - row.max) * (scale / row.sum);
    if (begin <= target && target < begin + block) d_target = x[target] * factor - scale;
    scale_array<V>(d + begin, x + begin, factor, vocab - begin < block ? vocab - begin : block);
  }
  store_n(d + target, V(d_target), 1);
  zero<V>(d + vocab, Vp - vocab);
  return row_loss<V>(row, target_logit);
}

template <class V, class T>
void cross_entropy_in_place(float* losses, float* logits, const std::int32_t* targets, float scale,
                            std::int64_t rows, std::int64_t vocab, std::int64_t Vp) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* x = logits + r * Vp;
    if (targets[r] >= 0) {
      losses[r] = row_in_place<V, T>(x, targets[r], scale, vocab, Vp);
    } else {
      losses[r] = 0.0f;
      zero<V>(reinterpret_cast<T*>(x), Vp);
    }
  }
}

}  // namespace inkling::simd
