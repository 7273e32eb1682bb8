// Attention backward in bf16 on AMX, for one head of one sequence. The mathematics is in
// ops/attention/attention.h, the products in ops/simd/amx_tiles_simd.h, the exponential in
// attention_forward_amx_simd.h.
//
// A tile has 256 queries in eight groups of 32, or fewer at the end. A strip of 32 keys and a group give
//   S = K Q^T,  dP = V dO^T          Q^T and dO^T are stored for the tile
// and from S and dP come P and dS, (32 keys, 32 queries), which stay in the L1 cache. A strip and all groups
// give
//   dV (keys, HS) += P dO            dO is stored in pairs of queries for the tile
//   dK (keys, HS) += dS Q            Q is stored in pairs of queries for the tile
// and eight strips together give
//   dQ^T (HS, queries) += K^T dS     dS is stored in pairs of keys
// With larger tiles and more strips at a time, these sums are read and written less often.
#pragma once

#include "ops/attention/attention_backward_simd.h"
#include "ops/attention/attention_forward_amx_simd.h"

namespace inkling::simd {

constexpr std::int64_t kGroups = kAmxQueries / kAmxStrip;

// The data of a head. The accumulators are floats (keys, HSp).
struct BackwardHead {
  bf16* keys;             // left factor (T, HSp)
  bf16* values;           // left factor (T, HSp)
  bf16* keys_transposed;  // a left factor (HSp, 32) for each strip of 32 keys
  float* dk;              // divided by scale
  float* dv;
};

// The data of a tile of 256 queries.
struct BackwardTile {
  bf16* q_transposed;     // right factor (HSp, 256)
  bf16* dout_transposed;  // right factor (HSp, 256)
  bf16* q;                // right factor (256, HSp)
  bf16* dout;             // right factor (256, HSp)
  float* s;               // (32 keys, 32 queries), not scaled
  float* dp;              // (32, 32)
  bf16* p;                // left factor (32, 256)
  bf16* ds;               // left factor (32, 256)
  bf16* ds_pairs;         // right factor (256 keys, 256)
  float* dq;              // dQ^T (HSp, 32) of each group, divided by scale
  float* m;               // (256), multiplied by log2(e)
  float* r;               // (256)
  float* D;               // (256)
};

// Computes D of 16 queries at a time. The 16 registers with partial sums are transposed and added, so that no
// register has to be summed across its lanes.
template <class V>
void output_gradient_dots(float* D, const bf16* dout, const bf16* out, std::int64_t stride,
                          std::int64_t count, std::int64_t HS) noexcept {
  alignas(64) float parts[256], transposed[256];
  for (std::int64_t i = 0; i < 16; ++i) {
    __m512 total = _mm512_setzero_ps();
    for (std::int64_t c = 0; i < count && c < HS; c += kTileK) {
      const __m512i a = load_numbers<V>(dout + i * stride, c, HS),
                    b = load_numbers<V>(out + i * stride, c, HS);
      total = _mm512_dpbf16_ps(total, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
    _mm512_store_ps(parts + i * 16, total);
  }
  for (std::int64_t c = 0; c < 16; c += 4) transpose_x4<V, 16>(transposed + c * 16, 16, parts + c, 16);
  V sum = load<V>(transposed);
  for (std::int64_t i = 1; i < 16; ++i) sum += load<V>(transposed + i * 16);
  store(D, sum);
}

// Rounds two registers of 16 floats to 32 bf16 numbers, in the same order.
template <class V>
__m512i rounded(V first, V second) noexcept {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.raw, first.raw));
}

// Pass 3 of a strip and group g: computes P and dS from S and dP, in the layouts that the products need.
// `strip` counts from the first strip whose dS is in ds_pairs.
template <class V>
void softmax_backward_strip(const BackwardTile& tile, std::int64_t strip, std::int64_t g,
                            float scale) noexcept {
  const float *m = tile.m + g * kAmxStrip, *r = tile.r + g * kAmxStrip, *D = tile.D + g * kAmxStrip;
  const V m0 = load<V>(m), r0 = load<V>(r), D0 = load<V>(D);
  const V m1 = load<V>(m + 16), r1 = load<V>(r + 16), D1 = load<V>(D + 16);
  for (std::int64_t k = 0; k < kAmxStrip; k += 2) {
    __m512i ds[2];
    for (std::int64_t i = 0; i < 2; ++i) {
      const float *s_k = tile.s + (k + i) * kAmxStrip, *dp_k = tile.dp + (k + i) * kAmxStrip;
      const V p0 = rough_exp2(fma(load<V>(s_k), V(scale), -m0)) * r0;
      const V p1 = rough_exp2(fma(load<V>(s_k + 16), V(scale), -m1)) * r1;
      ds[i] = rounded(p0 * (load<V>(dp_k) - D0), p1 * (load<V>(dp_k + 16) - D1));
      const std::int64_t row = (k / kTileLanes * kGroups + g) * kTile + (k % kTileLanes + i) * kTileK;
      _mm512_storeu_si512(tile.p + row, rounded(p0, p1));
      _mm512_storeu_si512(tile.ds + row, ds[i]);
    }
    store_pairs<V>(tile.ds_pairs + (strip * kGroups + g) * 2 * kTile + k * kTileLanes, ds[0], ds[1]);
  }
}

// Backward of a strip of keys, k .. k + 31, for the queries of groups `first` .. `groups` - 1 of the tile:
// computes dS, and adds to dK and dV. If `diagonal`, the keys are at the same positions as the queries of
// group `first`. Then each of these queries sees only the keys up to its own position, and dK and dV are
// assigned, because no earlier tile has added to them.
template <class V>
void strip_backward(const BackwardHead& head, const BackwardTile& tile, std::int64_t k, std::int64_t strip,
                    std::int64_t first, std::int64_t groups, std::int64_t HS, bool diagonal) noexcept {
  const std::int64_t HSp = pad_to(HS, kAmxHeadPad), depth = HSp / kTileK;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(HS));
  for (std::int64_t g = first; g < groups; ++g) {
    for (std::int64_t i = 0; i < kAmxStrip; i += kTileLanes) {
      const std::int64_t column = g * 2 * kTile, step = groups * 2 * kTile;
      multiply_tiles<V>(tile.s + i * kAmxStrip, nullptr, kAmxStrip, {head.keys + (k + i) * HSp, kTile},
                        {tile.q_transposed + column, step}, depth);
      multiply_tiles<V>(tile.dp + i * kAmxStrip, nullptr, kAmxStrip, {head.values + (k + i) * HSp, kTile},
                        {tile.dout_transposed + column, step}, depth);
    }
    for (std::int64_t i = 1; diagonal && g == first && i < kAmxStrip; ++i) {
      mask_row<V>(tile.s + i * kAmxStrip, i, 0);
      mask_row<V>(tile.dp + i * kAmxStrip, i, 0, 0.0f);
    }
    softmax_backward_strip<V>(tile, strip, g, scale * kLog2E);
  }
  for (std::int64_t i = 0; i < kAmxStrip; i += kTileLanes) {
    for (std::int64_t c = 0; c < HSp; c += 2 * kTileLanes) {
      const std::int64_t at = (k + i) * HSp + c, left = (i / kTileLanes * kGroups + first) * kTile;
      const std::int64_t right = first * HSp * kAmxStrip + c * kTileK, step = HSp * kAmxStrip;
      multiply_tiles<V>(head.dv + at, diagonal ? nullptr : head.dv + at, HSp, {tile.p + left, kTile},
                        {tile.dout + right, step}, groups - first);
      multiply_tiles<V>(head.dk + at, diagonal ? nullptr : head.dk + at, HSp, {tile.ds + left, kTile},
                        {tile.q + right, step}, groups - first);
    }
  }
}

// Adds the contribution of keys b .. b + 255 to dQ of each group of queries. Reads dS of these keys from
// ds_pairs. If `diagonal`, b is the tile's first position. Then group g sees all keys of the strips before
// strip g, which are added here, and some keys of strip g, which attention_backward_amx() adds later.
template <class V>
void query_gradients(const BackwardHead& head, const BackwardTile& tile, std::int64_t b, std::int64_t groups,
                     std::int64_t HSp, bool diagonal) noexcept {
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t c = 0; c < HSp && (!diagonal || g > 0); c += kTileLanes) {
      float* dq_c = tile.dq + (g * HSp + c) * kAmxStrip;
      multiply_tiles<V>(dq_c, b == 0 ? nullptr : dq_c, kAmxStrip,
                        {head.keys_transposed + b * HSp + c * kTileK, HSp * kTileK},
                        {tile.ds_pairs + g * 2 * kTile, kGroups * 2 * kTile}, diagonal ? g : kGroups);
    }
  }
}

// Reads queries t0 .. t0 + count - 1 into the tile. The other queries get Q = dO = 0 and r = 0, so they
// contribute nothing. `rows` is scratch memory, as large as a matrix of the tile.
template <class V>
void load_backward_tile(const BackwardTile& tile, bf16* rows, const AttentionBackward<bf16>& arguments,
                        std::int64_t t0, std::int64_t count) noexcept {
  const std::int64_t HS = arguments.HS, stride = arguments.stride, out_stride = arguments.out_stride;
  const bf16 *q = arguments.q + t0 * stride, *dout = arguments.dout + t0 * out_stride,
             *out = arguments.out + t0 * out_stride;
  const std::int64_t padded = pad_to(count, kAmxStrip), depth = pad_to(HS, kAmxHeadPad) / kTileK;
  pack_left<V>(rows, padded, q, stride, count, HS);
  transpose_tiles<V>(tile.q_transposed, rows, padded / kTileLanes, depth);
  pack_left<V>(rows, padded, dout, out_stride, count, HS);
  transpose_tiles<V>(tile.dout_transposed, rows, padded / kTileLanes, depth);
  pack_right<V>(tile.q, padded, q, stride, count, HS);
  pack_right<V>(tile.dout, padded, dout, out_stride, count, HS);
  for (std::int64_t j = 0; j < padded; ++j) {
    tile.m[j] = j < count ? arguments.max[t0 + j] * kLog2E : 0.0f;
    tile.r[j] = j < count ? arguments.inverse_sum[t0 + j] : 0.0f;
  }
  for (std::int64_t j = 0; j < padded; j += 16) {
    output_gradient_dots<V>(tile.D + j, dout + j * out_stride, out + j * out_stride, out_stride, count - j,
                            HS);
  }
}

// The kernel in the table of kernels.
template <class V>
void attention_backward_amx(const AttentionBackward<bf16>& arguments, float* scratch) noexcept {
  const Tiles tiles;
  const std::int64_t T = arguments.T, HS = arguments.HS, stride = arguments.stride;
  const bool accumulate = arguments.accumulate;
  const std::int64_t HSp = pad_to(HS, kAmxHeadPad), Tp = pad_to(T, kAmxStrip), in_head = Tp * HSp;
  const std::int64_t in_tile = kAmxQueries * HSp;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(HS));
  const auto halves = [&](std::int64_t count) { return carve_tiles<V>(scratch, count); };
  const auto floats = [&](std::int64_t count) { return carve<V>(scratch, count); };
  const BackwardHead head{halves(in_head), halves(in_head), halves(in_head), floats(in_head),
                          floats(in_head)};
  const BackwardTile tile{halves(in_tile),
                          halves(in_tile),
                          halves(in_tile),
                          halves(in_tile),
                          floats(kAmxStrip * kAmxStrip),
                          floats(kAmxStrip * kAmxStrip),
                          halves(kAmxStrip * kAmxQueries),
                          halves(kAmxStrip * kAmxQueries),
                          halves(kAmxQueries * kAmxQueries),
                          floats(in_tile),
                          floats(kAmxQueries),
                          floats(kAmxQueries),
                          floats(kAmxQueries)};
  bf16* rows = halves(in_tile);
  float* dq_group = floats(kAmxStrip * HSp);
  float* dq_rows = floats(kAmxStrip * HSp);

  pack_left<V>(head.keys, Tp, arguments.k, stride, T, HS);
  pack_left<V>(head.values, Tp, arguments.v, stride, T, HS);
  pack_left_transposed<V>(head.keys_transposed, arguments.k, stride, T, HS, rows);
  for (std::int64_t t0 = 0; t0 < T; t0 += kAmxQueries) {
    const std::int64_t count = T - t0 < kAmxQueries ? T - t0 : kAmxQueries,
                       groups = (count + kAmxStrip - 1) / kAmxStrip;
    load_backward_tile<V>(tile, rows, arguments, t0, count);
    for (std::int64_t b = 0; b <= t0; b += kAmxQueries) {
      const bool diagonal = b == t0;
      for (std::int64_t i = 0; i < (diagonal ? groups : kGroups); ++i)
        strip_backward<V>(head, tile, b + i * kAmxStrip, i, diagonal ? i : 0, groups, HS, diagonal);
      query_gradients<V>(head, tile, b, groups, HSp, diagonal);
    }
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t t = t0 + g * kAmxStrip, count_g = T - t < kAmxStrip ? T - t : kAmxStrip;
      const DiagonalProduct own{.result = dq_group,
                                .from = t == 0 ? nullptr : tile.dq + g * HSp * kAmxStrip,
                                .m_transposed = head.keys_transposed + t * HSp,
                                .weights = tile.ds_pairs + (g * kGroups + g) * 2 * kTile,
                                .bad = rows_not_finite<V>(arguments.k + t * stride, stride, count_g, HS),
                                .cut = rows,
                                .count = count_g,
                                .HSp = HSp};
      multiply_diagonal<V>(own, [&](std::int64_t first, std::int64_t last) {
        transpose<V>(dq_rows, dq_group, HSp, kAmxStrip);
        unpack_rows<V>(arguments.dq + (t + first) * stride, stride, dq_rows + first * HSp, HSp, last - first,
                       HS, scale, accumulate);
      });
    }
  }
  unpack_rows<V>(arguments.dk, stride, head.dk, HSp, T, HS, scale, accumulate);
  unpack_rows<V>(arguments.dv, stride, head.dv, HSp, T, HS, 1.0f, accumulate);
}

}  // namespace inkling::simd
