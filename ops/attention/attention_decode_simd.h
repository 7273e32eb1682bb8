// Attention with a cache of keys and values, for one head of one sequence. ops/attention/attention_decode.h
// describes the layout of the cache.
#pragma once

#include "ops/attention/attention_decode.h"
#include "ops/attention/attention_forward_simd.h"
#include "ops/simd/lanes_simd.h"

namespace inkling::simd {

// One row of a product, out (columns) = or += a (depth) B (depth, columns). All columns are in registers at
// the same time, so B is read once. columns is a multiple of kHeadPad.
template <class V>
void row_product(float* out, const float* a, const float* b, std::int64_t columns, std::int64_t depth,
                 bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  constexpr int kWide = W >= 8 ? static_cast<int>(64 / W) : 8,
                kNarrow = W >= 2 ? static_cast<int>(kHeadPad / W) : 8;
  std::int64_t j = 0;
  for (; j + kWide * W <= columns; j += kWide * W) {
    block_product<V, 1, kWide, false>({out + j, 0}, {a, 0, 1}, {b + j, columns}, depth, accumulate);
  }
  for (; j < columns; j += kNarrow * W)
    block_product<V, 1, kNarrow, false>({out + j, 0}, {a, 0, 1}, {b + j, columns}, depth, accumulate);
}

// One row times a B that is read from memory. During the product it prefetches the same number of floats from
// `next`, the operand of the next product, a few rows at a time. So the memory is busy while the CPU
// multiplies.
template <class V>
void row_product(float* out, const float* a, const float* b, std::int64_t columns, std::int64_t depth,
                 bool accumulate, const float* next) noexcept {
  constexpr std::int64_t kRows = 8, kLine = 16;
  for (std::int64_t k = 0; k < depth; k += kRows) {
    const std::int64_t rows = depth - k < kRows ? depth - k : kRows;
    for (std::int64_t i = 0; i < rows * columns; i += kLine) prefetch_second<V>(next + k * columns + i);
    row_product<V>(out, a + k, b + k * columns, columns, rows, accumulate || k > 0);
  }
}

// Attention of the query at position t to the keys 0 .. t. Keys and values are read once, in order. `next`
// points to the keys that will be read after them.
template <class V>
void attend_one(float* out, const float* keys, const float* values, const float* q, std::int64_t t,
                std::int64_t HS, const float* next, float* scratch) noexcept {
  constexpr std::int64_t W = V::kLanes;
  const std::int64_t HSp = pad_to(HS, kHeadPad), end = t + 1, padded = pad_to(end, kKeyBlock);
  float* q_scaled = carve<V>(scratch, HSp);
  float* o = carve<V>(scratch, HSp);
  float* s = carve<V>(scratch, padded);
  pack_rows<V>(q_scaled, 1, HSp, q, 0, 1, HS, 1.0f / __builtin_sqrtf(static_cast<float>(HS)));
  // pass 1: scores, by blocks of keys; -inf after the last key
  for (std::int64_t k = 0; k < end; k += kKeyBlock) {
    const float* behind = k + kKeyBlock < end ? keys + (k + kKeyBlock) * HS : values;
    row_product<V>(s + k, q_scaled, keys + k * HS, kKeyBlock, HS, false, behind);
  }
  for (std::int64_t k = end; k < padded; ++k) s[k] = -std::numeric_limits<float>::infinity();
  // pass 2: maximum
  V most = load<V>(s);
  for (std::int64_t k = W; k < padded; k += W) most = max(most, load<V>(s + k));
  const V m(greatest(most));
  // pass 3: softmax, without the factor r
  RowSum<V> total;
  for_row<V>(padded, [&](std::int64_t k, int part, auto lanes) {
    const V p = exp(lanes.load(s + k) - m);
    lanes.store(s + k, p);
    total[part] += p;
  });
  // pass 4: O = P V
  for (std::int64_t k = 0; k < end; k += kKeyBlock) {
    const std::int64_t rows = end - k < kKeyBlock ? end - k : kKeyBlock;
    const float* behind = k + kKeyBlock < end ? values + (k + kKeyBlock) * HSp : next;
    row_product<V>(o, s + k, values + k * HSp, HSp, rows, k > 0, behind);
  }
  unpack_rows<V>(out, 0, o, HSp, 1, HS, 1.0f / sum(total), false);
}

template <class V>
void attention_decode(const AttentionDecode& head, float* scratch) noexcept {
  const std::int64_t pos = head.pos, Tq = head.Tq, HS = head.HS, HSp = pad_to(HS, kHeadPad);
  float *keys = head.keys, *values = head.values;
  pack_rows<V>(values + pos * HSp, Tq, HSp, head.v, head.stride, Tq, HS, 1.0f);
  for (std::int64_t t = 0; t < Tq; ++t) {
    float* column = keys + (pos + t) / kKeyBlock * kKeyBlock * HS + (pos + t) % kKeyBlock;
    for (std::int64_t c = 0; c < HS; ++c) column[c * kKeyBlock] = head.k[t * head.stride + c];
  }
  if (Tq == 1) {
    attend_one<V>(head.out, keys, values, head.q, pos, HS, head.next, scratch);
    return;
  }
  for (std::int64_t t = 0; t < Tq; t += kQueryTile) {
    const std::int64_t count = Tq - t < kQueryTile ? Tq - t : kQueryTile;
    const Queries<float> tile{.out = head.out + t * head.out_stride,
                              .out_stride = head.out_stride,
                              .max = nullptr,
                              .inverse_sum = nullptr,
                              .q = head.q + t * head.stride,
                              .stride = head.stride,
                              .t0 = pos + t,
                              .count = count};
    attend_tile<V>(tile, {keys, 1, kKeyBlock, kKeyBlock * HS}, values, HS, scratch);
  }
}

}  // namespace inkling::simd
