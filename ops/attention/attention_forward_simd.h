// Attention forward for one head of one sequence, in tiles of queries. The mathematics is in
// ops/attention/attention.h.
//
// Scores are stored transposed, S (keys, 64 queries), so a register holds 16 queries. Their softmax needs no
// sum across a register. Only the tile's Q is transposed; K and V are used in their own order
// (ops/gemm/tile_simd.h).
#pragma once

#include <limits>

#include "ops/attention/attention.h"
#include "ops/gemm/tile_simd.h"
#include "ops/simd/math_simd.h"

namespace inkling::simd {

// The keys of one head, in blocks of kKeyBlock keys. Element c of key k is
//   data[k / kKeyBlock * block + k % kKeyBlock * row + c * step]
struct KeyBlocks {
  const float* data;
  std::int64_t row;
  std::int64_t step;
  std::int64_t block;
};

// Takes an array from the start of scratch memory. A few cache lines stay free between two arrays, because
// otherwise the same index in different arrays could fall into the same cache set.
template <class V>
float* carve(float*& scratch, std::int64_t count) noexcept {
  constexpr std::int64_t kGap = 80;
  float* piece = scratch;
  scratch += pad_to(count, kHeadPad) + kGap;
  return piece;
}

// The first column of the tile whose query sees key k, rounded down to a whole register. `t0` is the position
// of the tile's first query.
template <class V>
std::int64_t first_column(std::int64_t k, std::int64_t t0) noexcept {
  return k <= t0 ? 0 : (k - t0) / V::kLanes * V::kLanes;
}

// Sets row k of the scores to -inf, or to another value, for the queries before k.
template <class V>
void mask_row(float* s_k, std::int64_t k, std::int64_t t0,
              float value = -std::numeric_limits<float>::infinity()) noexcept {
  constexpr std::int64_t W = V::kLanes;
  alignas(64) float lane[W];
  for (std::int64_t i = 0; i < W; ++i) lane[i] = static_cast<float>(i);
  const V never(value);
  for (std::int64_t j = 0; j < k - t0 && j < kQueryTile; j += W) {
    store(s_k + j, if_less(load<V>(lane), V(static_cast<float>(k - t0 - j)), never, load<V>(s_k + j)));
  }
}

// Passes 1 and 2: the masked scores of keys [begin, end), and each query's maximum so far.
template <class V>
void score_block(float* s, float* m, const float* q_transposed, const KeyBlocks& keys, std::int64_t begin,
                 std::int64_t end, std::int64_t t0, std::int64_t HS) noexcept {
  constexpr std::int64_t W = V::kLanes, R = kBlockRows<V>;
  const TileOperand block{keys.data + begin / kKeyBlock * keys.block, keys.row, keys.step};
  for (std::int64_t k = begin; k < end; k += R) {
    const TileOperand rows{block.data + (k - begin) * block.row, block.row, block.step};
    const std::int64_t j = first_column<V>(k, t0);
    product<V>({s + k * kQueryTile + j, kQueryTile}, rows, {q_transposed + j, kQueryTile},
               {R, kQueryTile - j, HS}, false);
  }
  for (std::int64_t k = begin > t0 + 1 ? begin : t0 + 1; k < end; ++k) mask_row<V>(s + k * kQueryTile, k, t0);
  for (std::int64_t j = 0; j < kQueryTile; j += W) {
    V m_j = load<V>(m + j);
    const std::int64_t last = end < t0 + j + W ? end : t0 + j + W;
    std::int64_t k = begin;
    for (; k + 4 <= last; k += 4) {  // m01 and m23 do not wait for each other
      const float* s_k = s + k * kQueryTile + j;
      const V m01 = max(load<V>(s_k), load<V>(s_k + kQueryTile));
      const V m23 = max(load<V>(s_k + 2 * kQueryTile), load<V>(s_k + 3 * kQueryTile));
      m_j = max(m_j, max(m01, m23));
    }
    for (; k < last; ++k) m_j = max(m_j, load<V>(s + k * kQueryTile + j));
    store(m + j, m_j);
  }
}

// Pass 3, without the factor r: replaces S by exp(S - m) for keys [begin, end), and adds to each query's sum.
template <class V>
void exp_block(float* s, float* sum, const float* m, std::int64_t begin, std::int64_t end,
               std::int64_t t0) noexcept {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t j = 0; j < kQueryTile; j += W) {
    const V m_j = load<V>(m + j);
    V sum_j = load<V>(sum + j);
    const std::int64_t last = end < t0 + j + W ? end : t0 + j + W;
    for (std::int64_t k = begin; k < last; ++k) {
      const V p = exp(load<V>(s + k * kQueryTile + j) - m_j);
      store(s + k * kQueryTile + j, p);
      sum_j += p;
    }
    store(sum + j, sum_j);
  }
}

// The queries of a tile, and where their results are written. Rows of q are `stride` apart, rows of out
// out_stride.
template <class Real>
struct Queries {
  Real* out;  // (count, HS)
  std::int64_t out_stride;
  float *max, *inverse_sum;  // (count), or nullptr if they are not needed
  const Real* q;             // (count, HS)
  std::int64_t stride;
  std::int64_t t0, count;  // positions t0 .. t0 + count - 1
};

// Queries t0 .. t0 + count - 1 of a head.
template <class V, class Real>
Queries<Real> queries_of(const AttentionForward<Real>& head, std::int64_t t0, std::int64_t count) noexcept {
  const bool keep = head.max != nullptr;
  return {head.out + t0 * head.out_stride,
          head.out_stride,
          keep ? head.max + t0 : nullptr,
          keep ? head.inverse_sum + t0 : nullptr,
          head.q + t0 * head.stride,
          head.stride,
          t0,
          count};
}

// Computes one tile of at most kQueryTile queries; each attends to all keys up to its own position. `values`
// is (keys, HSp), with padded rows. Up to kQueryTile rows of `values` after the last query are read, but not
// used.
template <class V, class Real>
void attend_tile(const Queries<Real> tile, const KeyBlocks& keys, const float* values, std::int64_t HS,
                 float* scratch) noexcept {
  constexpr std::int64_t R = kBlockRows<V>;
  const std::int64_t t0 = tile.t0, count = tile.count;
  const std::int64_t HSp = pad_to(HS, kHeadPad), end = t0 + count;
  float* q_tile = carve<V>(scratch, kQueryTile * HSp);
  float* q_transposed = carve<V>(scratch, kQueryTile * HSp);
  float* o = carve<V>(scratch, kQueryTile * HSp);
  float* s = carve<V>(scratch, pad_to(t0 + kQueryTile, kKeyBlock) * kQueryTile);
  alignas(64) float m[kQueryTile], sum[kQueryTile];
  for (std::int64_t j = 0; j < kQueryTile; ++j) m[j] = -std::numeric_limits<float>::infinity(), sum[j] = 0.0f;
  pack_rows<V>(q_tile, kQueryTile, HSp, tile.q, tile.stride, count, HS,
               1.0f / __builtin_sqrtf(static_cast<float>(HS)));
  transpose<V>(q_transposed, q_tile, kQueryTile, HSp);

  for (std::int64_t k = 0; k < end; k += kKeyBlock) {
    score_block<V>(s, m, q_transposed, keys, k, k + kKeyBlock < end ? k + kKeyBlock : end, t0, HS);
  }
  // pass 4: first the blocks that all queries see completely, then the rest, where the query at t0 + j sees
  // j keys more than the query at t0
  const std::int64_t rows = pad_to(count, R);
  std::int64_t k = 0;
  for (; k + kKeyBlock <= t0; k += kKeyBlock) {
    exp_block<V>(s, sum, m, k, k + kKeyBlock, t0);
    product<V>({o, HSp}, {s + k * kQueryTile, 1, kQueryTile}, {values + k * HSp, HSp}, {rows, HSp, kKeyBlock},
               k > 0);
  }
  exp_block<V>(s, sum, m, k, end, t0);
  product<V, true>({o, HSp}, {s + k * kQueryTile, 1, kQueryTile}, {values + k * HSp, HSp},
                   {rows, HSp, t0 + 1 - k}, k > 0);
  for (std::int64_t j = 0; j < count; ++j) {
    const float r = 1.0f / sum[j];
    unpack_rows<V>(tile.out + j * tile.out_stride, 0, o + j * HSp, HSp, 1, HS, r, false);
    if (tile.max != nullptr) tile.max[j] = m[j], tile.inverse_sum[j] = r;
  }
}

// Real is float or bf16. All arithmetic is float.
template <class V, class Real>
void attention_forward(const AttentionForward<Real>& head, float* scratch) noexcept {
  const std::int64_t T = head.T, HS = head.HS;
  const std::int64_t HSp = pad_to(HS, kHeadPad), Tp = pad_to(T, kKeyBlock);
  float* keys = carve<V>(scratch, Tp * HSp);
  float* values = carve<V>(scratch, Tp * HSp);
  pack_rows<V>(keys, Tp, HSp, head.k, head.stride, T, HS, 1.0f);
  pack_rows<V>(values, Tp, HSp, head.v, head.stride, T, HS, 1.0f);
  for (std::int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const std::int64_t count = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    attend_tile<V>(queries_of<V>(head, t0, count), {keys, HSp, 1, kKeyBlock * HSp}, values, HS, scratch);
  }
}

}  // namespace inkling::simd
