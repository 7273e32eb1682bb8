// Cross-entropy, vectorised along a row of logits. ops/cross_entropy.h has the mathematics, and explains why
// a row is cut into blocks.
#pragma once

#include <limits>

#include "ops/cross_entropy.h"
#include "ops/simd/lanes_simd.h"
#include "ops/simd/math_simd.h"
#include "ops/softmax_simd.h"

namespace inkling::simd {

template <class V>
struct RowStatistics {  // m and s of ops/cross_entropy.h, over the logits that were read so far
  float max = -std::numeric_limits<float>::infinity();  // m, the maximum
  float sum = 0.0f;                                     // s, the sum of e^(x - m)
};

template <class V>
float exp_of_one(float x) {
  alignas(64) float lanes[V::kLanes];
  store(lanes, exp(V(x)));
  return lanes[0];
}

// Returns the sum of e^(x_i - m) over n numbers. With kKeep, it also stores the numbers e^(x_i - m) in e,
// which may be x.
template <class V, bool kKeep>
float sum_exp(float* e, const float* x, V m, std::int64_t n) {
  RowSum<V> total;
  for_row<V>(n, [&](std::int64_t i, int part, auto lanes) {
    const V e_i = exp(lanes.load(x + i, -std::numeric_limits<float>::infinity()) - m);
    total[part] += e_i;
    if constexpr (kKeep) lanes.store(e + i, e_i);
  });
  return sum(total);
}

// Adds a block of n logits to a row's statistics.
template <class V, bool kKeep>
void add_block(RowStatistics<V>& row, float* e, const float* x, std::int64_t n) {
  constexpr float kMinusInf = -std::numeric_limits<float>::infinity();
  const float block_max = max_of<V>(x, n);
  const float raised = block_max > row.max ? block_max : row.max;
  const float taken_off =
      raised == kMinusInf ? 0.0f : raised;  // if all logits so far are -inf: -inf - -inf would be NaN
  row.sum = row.sum * exp_of_one<V>(row.max - taken_off) + sum_exp<V, kKeep>(e, x, V(taken_off), n);
  row.max = raised;
}

template <class V>
RowStatistics<V> row_statistics(const float* x, std::int64_t vocab) {
  constexpr std::int64_t kBlock = 2048;  // a block of 8 KiB, for the L1 cache
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

// Computes the gradient of one row of logits: d_v = scale (p_v - [v = target]).
template <class V>
void row_gradient(float* d, const float* x, RowStatistics<V> row, std::int32_t target, float scale,
                  std::int64_t vocab, std::int64_t Vp, bool accumulate) {
  const V m(row.max), scale_over_sum(scale / row.sum);
  for_lanes<V>(vocab, [&](std::int64_t v, auto lanes) {
    const V before = lanes.load_if(accumulate, d + v);
    lanes.store(d + v, fma(exp(lanes.load(x + v) - m), scale_over_sum, before));
  });
  d[target] -= scale;
  if (accumulate) return;
  zero<V>(d + vocab, Vp - vocab);
}

template <class V>
void cross_entropy_forward(float* losses, float* row_max, float* row_sum, const float* logits,
                           const TargetRows& rows) noexcept {
  const auto [targets, count, vocab, Vp] = rows;
  for (std::int64_t r = 0; r < count; ++r) {
    losses[r] = 0.0f;
    if (targets[r] < 0) continue;
    const RowStatistics<V> row = row_statistics<V>(logits + r * Vp, vocab);
    losses[r] = row_loss<V>(row, logits[r * Vp + targets[r]]);
    row_max[r] = row.max;
    row_sum[r] = row.sum;
  }
}

template <class V>
void cross_entropy_backward(float* dlogits, const float* logits, const float* row_max, const float* row_sum,
                            float scale, const TargetRows& rows, bool accumulate) noexcept {
  const auto [targets, count, vocab, Vp] = rows;
  for (std::int64_t r = 0; r < count; ++r) {
    float* d = dlogits + r * Vp;
    if (targets[r] >= 0) {
      row_gradient<V>(d, logits + r * Vp, {row_max[r], row_sum[r]}, targets[r], scale, vocab, Vp, accumulate);
    } else if (!accumulate) {
      zero<V>(d, Vp);
    }
  }
}

// Multiplies an array by a factor: y = factor x. y may be x, or may start before x in the same memory.
template <class V, class T>
void scale_array(T* y, const float* x, float factor, std::int64_t n) {
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) { lanes.store(y + i, lanes.load(x + i) * V(factor)); });
}

// Returns a row's loss and replaces the logits x by their gradient, of type T. Each logit takes one exp: pass
// 1 stores e^(x - m) in x, where m is the maximum of all logits up to the end of this block; pass 2
// multiplies by e^(m - final maximum).
template <class V, class T>
float row_in_place(float* x, std::int32_t target, float scale, std::int64_t vocab, std::int64_t Vp) {
  constexpr std::int64_t kBlocks = 256, kSmallest = 2048;  // at most kBlocks blocks, each at least 8 KiB
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
  // pass 2: probabilities, minus 1 for the target, times scale
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
void cross_entropy_in_place(float* losses, float* logits, float scale, const TargetRows& rows) noexcept {
  const auto [targets, count, vocab, Vp] = rows;
  for (std::int64_t r = 0; r < count; ++r) {
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
