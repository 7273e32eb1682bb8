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
struct RowStatistics {
  float max;  // m
  float sum;  // s, of e^(x - m)
};

// Sum of e^(x_i - m) over n numbers.
template <class V>
float sum_exp(const float* x, V m, std::int64_t n) {
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  V total(0.0f);
  for (std::int64_t i = 0; i < body; i += V::kLanes) total += exp(load<V>(x + i) - m);
  if (tail != 0) total += exp(load_n<V>(x + body, tail, -std::numeric_limits<float>::infinity()) - m);
  return sum(total);
}

template <class V>
RowStatistics<V> row_statistics(const float* x, std::int64_t vocab) {
  constexpr std::int64_t kBlock = 2048;  // 8 KiB
  constexpr float kMinusInf = -std::numeric_limits<float>::infinity();
  float m = kMinusInf, s = 0.0f;
  for (std::int64_t begin = 0; begin < vocab; begin += kBlock) {
    const std::int64_t n = vocab - begin < kBlock ? vocab - begin : kBlock;
    const float block_max = max_of<V>(x + begin, n);
    const float raised = block_max > m ? block_max : m;
    const float taken_off =
        raised == kMinusInf ? 0.0f : raised;  // nothing but -inf so far: -inf - -inf is NaN
    alignas(64) float rescale[V::kLanes];
    store(rescale, exp(V(m - taken_off)));
    s = s * rescale[0] + sum_exp(x + begin, V(taken_off), n);
    m = raised;
  }
  return {m, s};
}

template <class V>
float row_loss(RowStatistics<V> row, float target_logit) {
  alignas(64) float log_sum[V::kLanes];
  store(log_sum, log(V(row.sum)));
  return (row.max - target_logit) + log_sum[0];
}

// d_v = scale (p_v - [v = target]); d may be x itself if not to accumulate.
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
  for (std::int64_t v = vocab; v < Vp; ++v) d[v] = 0.0f;
}

template <class V>
void zero_row(float* d, std::int64_t Vp) {
  for (std::int64_t v = 0; v < Vp; ++v) d[v] = 0.0f;
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
      zero_row<V>(d, Vp);
    }
  }
}

template <class V>
void cross_entropy_in_place(float* losses, float* logits, const std::int32_t* targets, float scale,
                            std::int64_t rows, std::int64_t vocab, std::int64_t Vp) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* x = logits + r * Vp;
    losses[r] = 0.0f;
    if (targets[r] < 0) {
      zero_row<V>(x, Vp);
      continue;
    }
    const RowStatistics<V> row = row_statistics<V>(x, vocab);
    losses[r] = row_loss<V>(row, x[targets[r]]);
    row_gradient<V>(x, x, row, targets[r], scale, vocab, Vp, false);
  }
}

}  // namespace inkling::simd
