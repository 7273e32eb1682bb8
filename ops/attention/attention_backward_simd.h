// Attention backward for one head of one sequence. The mathematics is in ops/attention/attention.h. The tiles
// are stored in the same way as in attention_forward_simd.h.
//
// For a tile of 64 queries and 16 keys at a time, P and dP are computed again as (keys, 64 queries). They
// stay in the L1 cache while their products are added to dV and dK, which are scratch memory for the whole
// head. The product for dQ of the tile takes a block of 64 keys at once.
#pragma once

#include "ops/attention/attention_forward_simd.h"
#include "ops/simd/lanes_simd.h"

namespace inkling::simd {

// The data of a tile of 64 queries. Matrices are (64, HSp), transposed matrices (HSp, 64), vectors (64).
struct QueryTile {
  float *p, *dp;  // scratch memory for P and dP of a block of keys, (64 keys, 64 queries)
  float* q;       // multiplied by scale
  float* q_transposed;
  float* dout;
  float* dout_transposed;
  float* dq;  // divided by scale
  float* m;
  float* r;
  float* D;
};

// A block of `count` keys: its rows of K and V, and of their gradients, (count, HSp).
struct KeyBlock {
  float *dk, *dv;
  const float *k, *v;
  std::int64_t count;
};

// Returns the sum of the products a_c b_c over n numbers.
template <class V, class Real>
float dot(const Real* a, const Real* b, std::int64_t n) noexcept {
  RowSum<V> total;
  for_row<V>(n, [&](std::int64_t c, int part, auto lanes) {
    total[part] = fma(lanes.load(a + c), lanes.load(b + c), total[part]);
  });
  return sum(total);
}

// Pass 3 for keys [k, k + rows): p holds S, and dp holds dP; they become P and dS. `j0` is the first column
// that was computed.
template <class V>
void softmax_backward_rows(float* p, float* dp, const QueryTile& tile, std::int64_t rows,
                           std::int64_t j0) noexcept {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t j = j0; j < kQueryTile; j += W) {
    const V m = load<V>(tile.m + j), r = load<V>(tile.r + j), D = load<V>(tile.D + j);
    for (std::int64_t i = 0; i < rows; ++i) {
      const V p_i = exp(load<V>(p + i * kQueryTile + j) - m) * r;
      store(p + i * kQueryTile + j, p_i);
      store(dp + i * kQueryTile + j, p_i * (load<V>(dp + i * kQueryTile + j) - D));
    }
  }
}

// The number of keys whose P and dP are in use at a time: a multiple of kBlockRows.
constexpr std::int64_t kKeyGroup = 16;

// Backward of one block of keys for the first `queries` queries of a tile. A block on the diagonal starts at
// the first position of the tile. Its key i is seen only by queries i and later, and no earlier tile has seen
// it, so dK and dV are assigned, not added to. `first` means that this is the tile's first block, so dQ is
// assigned.
template <class V, bool Diagonal>
void key_block_backward(const KeyBlock keys, const QueryTile tile, std::int64_t queries, std::int64_t HS,
                        bool first) noexcept {
  const std::int64_t HSp = pad_to(HS, kHeadPad), count = keys.count;
  for (std::int64_t i = 0; i < count; i += kKeyGroup) {
    const std::int64_t rows = count - i < kKeyGroup ? count - i : kKeyGroup;
    float* p_i = tile.p + i * kQueryTile;
    float* dp_i = tile.dp + i * kQueryTile;
    // pass 1 of forward: S, and pass 4: dP
    const std::int64_t j = Diagonal ? first_column<V>(i, 0) : 0, columns = kQueryTile - j;
    product<V>({p_i + j, kQueryTile}, {keys.k + i * HSp, HSp, 1}, {tile.q_transposed + j, kQueryTile},
               {rows, columns, HS}, false);
    product<V>({dp_i + j, kQueryTile}, {keys.v + i * HSp, HSp, 1}, {tile.dout_transposed + j, kQueryTile},
               {rows, columns, HS}, false);
    for (std::int64_t row = 0; Diagonal && row < rows; ++row) mask_row<V>(p_i + row * kQueryTile, i + row, 0);
    softmax_backward_rows<V>(p_i, dp_i, tile, rows, j);
    // pass 4: dV, and pass 1: dK. Both are sums over the queries of the tile. On the diagonal, they start
    // with the first query that sees one of these keys.
    const std::int64_t t = Diagonal ? i : 0;
    product<V>({keys.dv + i * HSp, HSp}, {p_i + t, kQueryTile, 1}, {tile.dout + t * HSp, HSp},
               {rows, HSp, queries - t}, !Diagonal);
    product<V>({keys.dk + i * HSp, HSp}, {dp_i + t, kQueryTile, 1}, {tile.q + t * HSp, HSp},
               {rows, HSp, queries - t}, !Diagonal);
  }
  // pass 1: dQ
  product<V, Diagonal>({tile.dq, HSp}, {tile.dp, 1, kQueryTile}, {keys.k, HSp},
                       {pad_to(queries, kBlockRows<V>), HSp, Diagonal ? 1 : count}, !first);
}

// Reads queries t0 .. t0 + count - 1 of the head into the tile. The other queries get Q = dO = 0 and r = 0,
// so they contribute nothing.
template <class V, class Real>
void load_query_tile(const QueryTile& tile, const AttentionBackward<Real>& head, std::int64_t t0,
                     std::int64_t count, float scale) noexcept {
  const std::int64_t HS = head.HS, HSp = pad_to(HS, kHeadPad), out_stride = head.out_stride;
  const Real *dout = head.dout + t0 * out_stride, *out = head.out + t0 * out_stride;
  pack_rows<V>(tile.q, kQueryTile, HSp, head.q + t0 * head.stride, head.stride, count, HS, scale);
  transpose<V>(tile.q_transposed, tile.q, kQueryTile, HSp);
  pack_rows<V>(tile.dout, kQueryTile, HSp, dout, out_stride, count, HS, 1.0f);
  transpose<V>(tile.dout_transposed, tile.dout, kQueryTile, HSp);
  for (std::int64_t j = 0; j < kQueryTile; ++j) {
    const bool real = j < count;
    tile.m[j] = real ? head.max[t0 + j] : 0.0f;
    tile.r[j] = real ? head.inverse_sum[t0 + j] : 0.0f;
    tile.D[j] = real ? dot<V>(dout + j * out_stride, out + j * out_stride, HS) : 0.0f;
  }
}

// Real is float or bf16. All arithmetic is float.
template <class V, class Real>
void attention_backward(const AttentionBackward<Real>& head, float* scratch) noexcept {
  const std::int64_t T = head.T, HS = head.HS, stride = head.stride;
  const std::int64_t HSp = pad_to(HS, kHeadPad), Tp = pad_to(T, kKeyBlock);
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(HS));
  float* keys = carve<V>(scratch, Tp * HSp);
  float* values = carve<V>(scratch, Tp * HSp);
  float* dkeys = carve<V>(scratch, Tp * HSp);
  float* dvalues = carve<V>(scratch, Tp * HSp);
  const auto block = [&] { return carve<V>(scratch, kKeyBlock * kQueryTile); };
  const auto matrix = [&] { return carve<V>(scratch, kQueryTile * HSp); };
  const auto vector = [&] { return carve<V>(scratch, kQueryTile); };
  const QueryTile tile{.p = block(),
                       .dp = block(),
                       .q = matrix(),
                       .q_transposed = matrix(),
                       .dout = matrix(),
                       .dout_transposed = matrix(),
                       .dq = matrix(),
                       .m = vector(),
                       .r = vector(),
                       .D = vector()};

  pack_rows<V>(keys, Tp, HSp, head.k, stride, T, HS, 1.0f);
  pack_rows<V>(values, Tp, HSp, head.v, stride, T, HS, 1.0f);
  for (std::int64_t t0 = 0; t0 < T; t0 += kQueryTile) {
    const std::int64_t count = T - t0 < kQueryTile ? T - t0 : kQueryTile;
    load_query_tile<V>(tile, head, t0, count, scale);
    const auto key_block = [&](std::int64_t k, std::int64_t in_block) -> KeyBlock {
      return {dkeys + k * HSp, dvalues + k * HSp, keys + k * HSp, values + k * HSp, in_block};
    };
    for (std::int64_t k = 0; k < t0; k += kKeyBlock) {
      const std::int64_t in_block = t0 - k < kKeyBlock ? t0 - k : kKeyBlock;
      key_block_backward<V, false>(key_block(k, in_block), tile, count, HS, k == 0);
    }
    key_block_backward<V, true>(key_block(t0, pad_to(count, kBlockRows<V>)), tile, count, HS, t0 == 0);
    unpack_rows<V>(head.dq + t0 * stride, stride, tile.dq, HSp, count, HS, scale, head.accumulate);
  }
  unpack_rows<V>(head.dk, stride, dkeys, HSp, T, HS, 1.0f, head.accumulate);
  unpack_rows<V>(head.dv, stride, dvalues, HSp, T, HS, 1.0f, head.accumulate);
}

}  // namespace inkling::simd
