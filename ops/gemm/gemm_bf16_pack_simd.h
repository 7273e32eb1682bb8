// Packing for ops/gemm/gemm_bf16.h: turns 16 lanes and 32 steps of k at a time into a tile of 16 x 16 pairs.
//
// A register holds 16 pairs. The order in memory and the order in the tile give four cases:
//   in memory            a register is loaded with                       which is a row of the layout
//   k is contiguous      the 32 numbers of one lane, as they are         [lane][pair], used for A
//   lanes are contiguous rows k and k + 1 of 16 lanes, interleaved       [pair][lane], used for B
// If the tile needs the other layout, the 16 x 16 pairs are transposed in registers.
#pragma once

#include "ops/gemm/operands.h"
#include "ops/simd/bf16_simd.h"
#include "ops/simd/simd.h"
#include "ops/simd/tile_sizes.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace inkling::simd {

// The source of a tile: element (lane, k) is data[lane * lane_stride + k * k_stride], for lane < lanes and
// k < K.
template <class T>
struct TileSource {
  const T* data;
  std::int64_t lane_stride, k_stride;
  std::int64_t lanes, K;
};

// Rounds a number to bf16. A number that is bf16 already stays as it is.
template <class V>
bf16 narrowed(bf16 x) {
  return x;
}
template <class V>
bf16 narrowed(float x) {
  bf16 rounded;
  store(&rounded, Floats<Scalar>(x));
  return rounded;
}

// Packs one tile. Works for every instruction set, for all strides, and for tiles at the edge, which are
// padded with zeros.
template <class V, class T>
void pack_tile_by_number(bf16* tile, const TileSource<T>& in, TileOrder order) {
  for (std::int64_t lane = 0; lane < kTileLanes; ++lane) {
    for (std::int64_t k = 0; k < kTileK; ++k) {
      const bool inside = lane < in.lanes && k < in.K;
      const std::int64_t pair = k / 2, at = order == TileOrder::lane_pair ? lane * kTileLanes + pair
                                                                          : pair * kTileLanes + lane;
      bf16& out = tile[2 * at + k % 2];
      out = inside ? narrowed<V>(in.data[lane * in.lane_stride + k * in.k_stride]) : bf16{};
    }
  }
}

// Packs a tile of A that has only a few lanes or steps. The order in the tile is the same as in memory.
template <class V, class T>
void pack_lanes_along(bf16* tile, const TileSource<T>& in) {
  const auto clear = [](bf16* from, const bf16* to) {
    __builtin_memset(static_cast<void*>(from), 0, static_cast<std::size_t>(to - from) * sizeof(bf16));
  };
  const bf16* end = tile + kTile;
  for (std::int64_t lane = 0; lane < in.lanes; ++lane, tile += kTileK) {
    convert<V>(tile, in.data + lane * in.lane_stride, in.K);
    if (in.K < kTileK) clear(tile + in.K, tile + kTileK);
  }
  clear(tile, end);  // one call for the whole tile: if it has one lane, clearing is most of the work
}

#if defined(__AVX512F__)

// Loads 32 neighbouring numbers: 16 pairs.
template <class V>
[[gnu::always_inline]] inline __m512i pairs_along(const bf16* p) {
  return _mm512_loadu_si512(p);
}
template <class V>
[[gnu::always_inline]] inline __m512i pairs_along(const float* p) {
  const V low = load<V>(p), high = load<V>(p + 16);
#if defined(__AVX512BF16__)
  if constexpr (V::kRoundsToBf16) return (__m512i)_mm512_cvtne2ps_pbh(high.raw, low.raw);
#endif
  const __m256i first = _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_in_upper_half(low), 16));
  const __m256i second = _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_in_upper_half(high), 16));
  return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

// Loads 16 neighbours of two rows and interleaves them.
template <class V>
[[gnu::always_inline]] inline __m512i pairs_across(const bf16* even, const bf16* odd) {
  const __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(even)));
  return interleaved<V>(
      _mm512_inserti64x4(first, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(odd)), 1));
}
template <class V>
[[gnu::always_inline]] inline __m512i pairs_across(const float* even, const float* odd) {
  const V a = load<V>(even), b = load<V>(odd);
#if defined(__AVX512BF16__)
  if constexpr (V::kRoundsToBf16) return interleaved<V>((__m512i)_mm512_cvtne2ps_pbh(b.raw, a.raw));
#endif
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(bf16_in_upper_half(a), 16),
                                 bf16_in_upper_half(b));
}

// Transposes 16 x 16 pairs in 16 registers. Two rounds of instructions move pairs inside each 128-bit lane,
// as in ops/simd/transpose_simd.h. Then two rounds move whole 128-bit lanes between registers.
template <class V>
[[gnu::always_inline]] inline void transpose_pairs(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) {
    const __m512i ab_low = _mm512_unpacklo_epi32(r[i], r[i + 1]),
                  ab_high = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    const __m512i cd_low = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]),
                  cd_high = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
    t[i] = _mm512_unpacklo_epi64(ab_low, cd_low);
    t[i + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    t[i + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    t[i + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
  }
  // t[4g + c] holds, in its lane l, column 4l + c of rows 4g .. 4g + 3
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i low02 = _mm512_shuffle_i32x4(t[c], t[c + 4], 0x88),
                  low13 = _mm512_shuffle_i32x4(t[c], t[c + 4], 0xdd);
    const __m512i high02 = _mm512_shuffle_i32x4(t[c + 8], t[c + 12], 0x88),
                  high13 = _mm512_shuffle_i32x4(t[c + 8], t[c + 12], 0xdd);
    r[c] = _mm512_shuffle_i32x4(low02, high02, 0x88);
    r[c + 8] = _mm512_shuffle_i32x4(low02, high02, 0xdd);
    r[c + 4] = _mm512_shuffle_i32x4(low13, high13, 0x88);
    r[c + 12] = _mm512_shuffle_i32x4(low13, high13, 0xdd);
  }
}

// Packs a tile that is complete, if its lanes or its steps are contiguous and registers are wide enough.
// Returns false, and does nothing, for all other tiles.
template <class V, class T>
bool pack_whole_tile(bf16* tile, const TileSource<T>& in, TileOrder order,
                     bool stream) requires(V::kLanes == 16) {
  if (in.lanes != kTileLanes || in.K != kTileK || (in.k_stride != 1 && in.lane_stride != 1)) return false;
  __m512i pairs[16];
  const bool along = in.k_stride == 1;
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    pairs[i] = along ? pairs_along<V>(in.data + i * in.lane_stride)
                     : pairs_across<V>(in.data + 2 * i * in.k_stride, in.data + (2 * i + 1) * in.k_stride);
  }
  if (along != (order == TileOrder::lane_pair)) transpose_pairs<V>(pairs);
  auto* out = reinterpret_cast<__m512i*>(tile);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (stream) {
      _mm512_stream_si512(out + i, pairs[i]);
    } else {
      _mm512_store_si512(out + i, pairs[i]);
    }
  }
  return true;
}

#endif

template <class V, class T>
bool pack_whole_tile(bf16* /*tile*/, const TileSource<T>& /*in*/, TileOrder /*order*/, bool /*stream*/) {
  return false;
}

// Packs the elements (lane, k) of `source` for lane < `lanes` and k < K into tiles. `lanes` is at most 16.
template <class V, class T>
void pack_tiles(const TileRun& to, const MatrixIn<T>& source, std::int64_t lanes, std::int64_t K) noexcept {
  const std::int64_t lane_stride = source.row_stride, k_stride = source.col_stride;
  const TileOrder order = to.order;
  bf16* tile = to.tiles;
  for (std::int64_t k = 0; k < K; k += kTileK, tile += to.step) {
    const TileSource<T> in{source.data + k * k_stride, lane_stride, k_stride, lanes,
                           K - k < kTileK ? K - k : kTileK};
    if (pack_whole_tile<V>(tile, in, order, to.stream)) continue;
    if (order == TileOrder::lane_pair && k_stride == 1) {
      pack_lanes_along<V>(tile, in);
    } else {
      pack_tile_by_number<V>(tile, in, order);
    }
  }
}

}  // namespace inkling::simd
