// Attention forward in bf16 on AMX, for one head of one sequence. The mathematics is in
// ops/attention/attention.h, the products in ops/simd/amx_tiles_simd.h.
//
// A task works on tiles of 32 queries. As in attention_forward_simd.h, scores are transposed, (keys, 32
// queries), so that the softmax needs no sum across a register. Products are so fast here that writing and
// reading a full strip of scores would take too long. So this is the online softmax (Milakov & Gimelshein
// 2018): for each block of keys, the maximum m grows to m', and the sums so far are multiplied by exp(m -
// m').
//   S (keys, 32)  = K Q^T         K is stored by rows for the head, Q^T for the tile
//   O^T (HS, 32) += V^T P         V^T is stored for the head; P is rounded to bf16
// Maximum, sum and O are floats.
#pragma once

#include "ops/attention/attention_forward_simd.h"
#include "ops/simd/amx_tiles_simd.h"
#include "ops/simd/bf16_simd.h"

namespace inkling::simd {

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;

template <class V>
bf16* carve_tiles(float*& scratch, std::int64_t count) noexcept {
  return reinterpret_cast<bf16*>(carve<V>(scratch, count / 2));
}

// 2^x with a relative error of at most 2.7e-6, which is enough before rounding to bf16. 0 for -inf, NaN for
// NaN. With r = x - floor(x) from 0 to 1, 2^r is a polynomial of degree 4 (ops/simd/minimax.py).
template <class V>
V rough_exp2(V x) noexcept {
  constexpr int kFloor = 0x09;
  const V r(typename V::Raw(_mm512_reduce_ps(x.raw, kFloor)));
  V p(0.0135400081f);
  p = fma(p, r, V(0.052001439f));
  p = fma(p, r, V(0.241448045f));
  p = fma(p, r, V(0.693002939f));
  p = fma(p, r, V(1.00000262f));
  return V(typename V::Raw(_mm512_scalef_ps(p.raw, x.raw)));  // p 2^floor(x)
}

// Rounds two registers a and b to bf16 and interleaves them: a_0 b_0 a_1 b_1 .. a_15 b_15, a row of a tile.
template <class V>
void store_rounded_pairs(bf16* tile_row, V a, V b) noexcept {
  _mm512_storeu_si512(tile_row, interleaved<V>((__m512i)_mm512_cvtne2ps_pbh(b.raw, a.raw)));
}

// Finds the rows that contain an inf or a NaN: bit i of the result is set for row i. There are at most 32
// rows.
template <class V>
std::uint32_t rows_not_finite(const bf16* rows, std::int64_t stride, std::int64_t count,
                              std::int64_t n) noexcept {
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  std::uint32_t found = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t c = 0; c < n; c += kTileK) {
      const __m512i field = _mm512_and_si512(load_numbers<V>(rows + r * stride, c, n), exponent);
      if (_mm512_cmpeq_epi16_mask(field, exponent) != 0) found |= 1u << r;
    }
  }
  return found;
}

// The last step of a product M^T W: the keys and queries at a tile's own 32 positions, of which the first
// `count` are in the sequence.
//   result (HSp, 32 queries) = from + M^T (HSp, 32 keys) W (32 keys, 32 queries)
struct DiagonalProduct {
  float* result;
  const float* from;         // nullptr for 0
  const bf16* m_transposed;  // M^T, a left factor
  const bf16* weights;       // W, a right factor
  std::uint32_t bad;         // bit k is set if row k of M contains an inf or a NaN
  bf16* cut;                 // scratch memory for a copy of M^T
  std::int64_t count, HSp;
};

// In W, a key after the query has the weight 0. This is not enough if the key's row of M contains an inf or a
// NaN, because 0 times inf is NaN. So the product is computed once for the queries before such a row, without
// this row and all later ones, and again for the queries after it. finish(first, last) is called when the
// result is correct for queries first .. last - 1.
template <class V, class F>
void multiply_diagonal(const DiagonalProduct& p, const F& finish) noexcept {
  for (std::int64_t first = 0, last = 0; first < p.count; first = last) {
    const auto later = static_cast<std::uint32_t>(std::uint64_t{p.bad} >> (first + 1));
    last = later == 0 ? p.count : first + 1 + __builtin_ctz(later);
    const bf16* factor = p.m_transposed;
    if (last < p.count) {
      const __mmask32 kept = (1u << last) - 1u;
      for (std::int64_t i = 0; i < p.HSp * kTileK; i += kTileK)
        _mm512_storeu_si512(p.cut + i, _mm512_maskz_loadu_epi16(kept, p.m_transposed + i));
      factor = p.cut;
    }
    for (std::int64_t c = 0; c < p.HSp; c += kTileLanes) {
      const float* from = p.from == nullptr ? nullptr : p.from + c * kAmxStrip;
      multiply_tiles<V>(p.result + c * kAmxStrip, from, kAmxStrip, {factor + c * kTileK, 0}, {p.weights, 0},
                        1);
    }
    finish(first, last);
  }
}

// The data of a tile of 32 queries.
struct ForwardTile {
  bf16* q_transposed;  // right factor (HSp, 32)
  float* s;            // scores of a block (kAmxKeys, 32), not scaled
  bf16* p;             // right factor (kAmxKeys, 32)
  float* o;            // O^T (HSp, 32), before it is divided by the sum
  float* m;            // (32), multiplied by log2(e), like all exponents here
  float* sum;          // (32)
};

// Pass 1: the scores of `count` keys. `keys` points to the tiles of the first key.
template <class V>
void block_scores(float* s, const bf16* keys, const bf16* q_transposed, std::int64_t count,
                  std::int64_t HSp) noexcept {
  for (std::int64_t k = 0; k < count; k += kTileLanes) {
    multiply_tiles<V>(s + k * kAmxStrip, nullptr, kAmxStrip, {keys + k * HSp, kTile},
                      {q_transposed, 2 * kTile}, HSp / kTileK);
  }
}

// Passes 2 and 3 for `count` keys and 16 queries from j on: m, sum and o are adjusted to the new maximum.
// Only rows_of_o rows of o are in use: none before the first product.
template <class V>
void online_softmax(const ForwardTile& tile, std::int64_t j, std::int64_t count, std::int64_t rows_of_o,
                    float scale) noexcept {
  const float* s = tile.s + j;
  V most0 = load<V>(s), most1 = load<V>(s + kAmxStrip);
  for (std::int64_t k = 2; k < count; k += 2) {
    most0 = max(most0, load<V>(s + k * kAmxStrip));
    most1 = max(most1, load<V>(s + (k + 1) * kAmxStrip));
  }
  const V before = load<V>(tile.m + j), m = max(before, max(most0, most1) * V(scale));
  V sum = load<V>(tile.sum + j);
  if (_mm512_cmp_ps_mask(before.raw, m.raw, _CMP_NEQ_UQ) != 0) {
    const V shrink = exp((before - m) * V(kLn2));
    sum *= shrink;
    for (std::int64_t c = 0; c < rows_of_o; ++c) {
      float* o_c = tile.o + c * kAmxStrip + j;
      store(o_c, load<V>(o_c) * shrink);
    }
  }
  for (std::int64_t k = 0; k < count; k += 2) {
    const V p0 = rough_exp2(fma(load<V>(s + k * kAmxStrip), V(scale), -m));
    const V p1 = rough_exp2(fma(load<V>(s + (k + 1) * kAmxStrip), V(scale), -m));
    sum += p0 + p1;
    store_rounded_pairs(tile.p + (k / 32 * 2 + j / 16) * kTile + k % 32 * kTileLanes, p0, p1);
  }
  store(tile.m + j, m);
  store(tile.sum + j, sum);
}

// Computes a tile of at most 32 queries. `keys` is a left factor (keys, HSp); `values_transposed` is a left
// factor (HSp, 32) for each 32 keys. `bad` has a bit for each of the tile's own rows of V that contains an
// inf or a NaN.
template <class V>
void attend_tile_amx(const Queries<bf16> queries, const ForwardTile& tile, const bf16* keys,
                     const bf16* values_transposed, std::uint32_t bad, std::int64_t HS,
                     float* scratch) noexcept {
  const std::int64_t t0 = queries.t0;
  const std::int64_t HSp = pad_to(HS, kAmxHeadPad);
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(HS));
  float* o = carve<V>(scratch, kAmxStrip * HSp);
  float* o_rows = carve<V>(scratch, kAmxStrip * HSp);
  for (std::int64_t j = 0; j < kAmxStrip; ++j) {
    tile.m[j] = -std::numeric_limits<float>::infinity();
    tile.sum[j] = 0.0f;
  }
  const auto softmax_block = [&](std::int64_t b, std::int64_t keys_b) {
    block_scores<V>(tile.s, keys + b * HSp, tile.q_transposed, keys_b, HSp);
    if (b == t0) {
      for (std::int64_t k = 1; k < keys_b; ++k) mask_row<V>(tile.s + k * kAmxStrip, k, 0);
    }
    for (std::int64_t j = 0; j < kAmxStrip; j += V::kLanes)
      online_softmax<V>(tile, j, keys_b, b == 0 ? 0 : HSp, scale * kLog2E);
  };
  // pass 4
  for (std::int64_t b = 0; b < t0; b += kAmxKeys) {
    const std::int64_t keys_b = t0 - b < kAmxKeys ? t0 - b : kAmxKeys;
    softmax_block(b, keys_b);
    for (std::int64_t c = 0; c < HSp; c += kTileLanes) {
      float* o_c = tile.o + c * kAmxStrip;
      multiply_tiles<V>(o_c, b == 0 ? nullptr : o_c, kAmxStrip,
                        {values_transposed + b * HSp + c * kTileK, HSp * kTileK}, {tile.p, 2 * kTile},
                        keys_b / kTileK);
    }
  }
  softmax_block(t0, kAmxStrip);
  const DiagonalProduct own{.result = o,
                            .from = t0 == 0 ? nullptr : tile.o,
                            .m_transposed = values_transposed + t0 * HSp,
                            .weights = tile.p,
                            .bad = bad,
                            .cut = carve_tiles<V>(scratch, kAmxStrip * HSp),
                            .count = queries.count,
                            .HSp = HSp};
  multiply_diagonal<V>(own, [&](std::int64_t first, std::int64_t last) {
    transpose<V>(o_rows, o, HSp, kAmxStrip);
    for (std::int64_t j = first; j < last; ++j) {
      const float r = 1.0f / tile.sum[j];
      unpack_rows<V>(queries.out + j * queries.out_stride, 0, o_rows + j * HSp, HSp, 1, HS, r, false);
      if (queries.max != nullptr) queries.max[j] = tile.m[j] * kLn2, queries.inverse_sum[j] = r;
    }
  });
}

// Transposes a matrix (rows, n): each 32 rows become a left factor (HSp, 32), HSp being n padded.
template <class V>
void pack_left_transposed(bf16* tiles, const bf16* in, std::int64_t stride, std::int64_t rows, std::int64_t n,
                          bf16* temporary) noexcept {
  const std::int64_t HSp = pad_to(n, kAmxHeadPad);
  for (std::int64_t r = 0; r < rows; r += kTileK) {
    pack_right<V>(temporary, kTileK, in + r * stride, stride, rows - r, n);
    transpose_tiles<V>(tiles + r * HSp, temporary, 1, HSp / kTileLanes);
  }
}

// The kernel in the table of kernels.
template <class V>
void attention_forward_amx(const AttentionForward<bf16>& head, float* scratch) noexcept {
  const Tiles tiles;
  const std::int64_t T = head.T, HS = head.HS, stride = head.stride;
  const std::int64_t HSp = pad_to(HS, kAmxHeadPad), Tp = pad_to(T, kAmxStrip);
  bf16* keys = carve_tiles<V>(scratch, Tp * HSp);
  bf16* values_transposed = carve_tiles<V>(scratch, Tp * HSp);
  bf16* rows = carve_tiles<V>(scratch, kAmxStrip * HSp);
  ForwardTile tile{};
  tile.q_transposed = carve_tiles<V>(scratch, kAmxStrip * HSp);
  tile.s = carve<V>(scratch, kAmxKeys * kAmxStrip);
  tile.p = carve_tiles<V>(scratch, kAmxKeys * kAmxStrip);
  tile.o = carve<V>(scratch, kAmxStrip * HSp);
  tile.m = carve<V>(scratch, kAmxStrip);
  tile.sum = carve<V>(scratch, kAmxStrip);

  pack_left<V>(keys, Tp, head.k, stride, T, HS);
  pack_left_transposed<V>(values_transposed, head.v, stride, T, HS, rows);
  for (std::int64_t t0 = 0; t0 < T; t0 += kAmxStrip) {
    const std::int64_t count = T - t0 < kAmxStrip ? T - t0 : kAmxStrip;
    pack_left<V>(rows, kAmxStrip, head.q + t0 * stride, stride, count, HS);
    transpose_tiles<V>(tile.q_transposed, rows, kAmxStrip / kTileLanes, HSp / kTileK);
    attend_tile_amx<V>(queries_of<V>(head, t0, count), tile, keys, values_transposed,
                       rows_not_finite<V>(head.v + t0 * stride, stride, count, HS), HS, scratch);
  }
}

}  // namespace inkling::simd
