// Products of small bf16 matrices on AMX. Attention on AMX uses them.
//
// A matrix is cut into tiles of 1 KiB (ops/simd/amx_simd.h), stored one after another and padded with zeros:
//   as a left factor,  A (rows, depth):    tile (i, k) of [rows / 16][depth / 32] has 16 rows of 32 numbers;
//   as a right factor, B (depth, columns): tile (k, j) of [depth / 32][columns / 16] has 16 pairs of rows.
// A tile is 16 x 16 pairs of numbers. Transposing the pairs of a left factor's tile gives a tile of the
// transposed matrix as a right factor, and the reverse. So rows are packed in one of two ways (as they are,
// or in pairs), and a transpose turns a left factor into a right factor, or a right factor into a left
// factor.
#pragma once

#include <immintrin.h>

#include "ops/simd/amx_simd.h"
#include "ops/simd/transpose_simd.h"

namespace inkling::simd {

// Loads the numbers [c, c + 32) of a row of n numbers. Numbers past the row's end are 0.
template <class V>
__m512i load_numbers(const bf16* row, std::int64_t c, std::int64_t n) noexcept {
  if (n - c >= kTileK) return _mm512_loadu_si512(row + c);
  return n <= c ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi16((1u << (n - c)) - 1u, row + c);
}

// Stores a_0 b_0 a_1 b_1 .. a_15 b_15 in a row of a tile, and a_16 b_16 .. in the same row of the next tile.
template <class V>
void store_pairs(bf16* tile_row, __m512i a, __m512i b) noexcept {
  alignas(64) static constexpr std::uint16_t kFirst[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                           37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                           11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i first = _mm512_load_si512(kFirst);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
  _mm512_storeu_si512(tile_row, _mm512_permutex2var_epi16(a, first, b));
  _mm512_storeu_si512(tile_row + kTile, _mm512_permutex2var_epi16(a, second, b));
}

// Packs a matrix (rows, n), whose rows are `stride` apart, as a left factor with padded_rows rows.
template <class V>
void pack_left(bf16* tiles, std::int64_t padded_rows, const bf16* in, std::int64_t stride, std::int64_t rows,
               std::int64_t n) noexcept {
  const std::int64_t depth = (n + kTileK - 1) / kTileK;
  for (std::int64_t r = 0; r < padded_rows; ++r) {
    bf16* row = tiles + r / kTileLanes * depth * kTile + r % kTileLanes * kTileK;
    for (std::int64_t k = 0; k < depth; ++k) {
      _mm512_storeu_si512(row + k * kTile, load_numbers<V>(in + r * stride, k * kTileK, r < rows ? n : 0));
    }
  }
}

// Packs a matrix (rows, n), whose rows are `stride` apart, as a right factor with padded_rows rows. The
// columns are padded to a multiple of 32.
template <class V>
void pack_right(bf16* tiles, std::int64_t padded_rows, const bf16* in, std::int64_t stride, std::int64_t rows,
                std::int64_t n) noexcept {
  const std::int64_t column_pairs = (n + 2 * kTileLanes - 1) / (2 * kTileLanes);
  for (std::int64_t r = 0; r < padded_rows; r += 2) {
    bf16* row = tiles + r / kTileK * column_pairs * 2 * kTile + r % kTileK / 2 * kTileK;
    for (std::int64_t j = 0; j < column_pairs; ++j) {
      const bf16* in_r = in + r * stride;
      store_pairs<V>(row + j * 2 * kTile, load_numbers<V>(in_r, j * 32, r < rows ? n : 0),
                     load_numbers<V>(in_r + stride, j * 32, r + 1 < rows ? n : 0));
    }
  }
}

// Transposes a factor of rows x columns tiles. The result is a factor for the other side of a product, of
// columns x rows tiles.
template <class V>
void transpose_tiles(bf16* out, const bf16* in, std::int64_t rows, std::int64_t columns) noexcept {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      // A pair of bf16 numbers is moved as one float.
      float* to = reinterpret_cast<float*>(out + (j * rows + i) * kTile);
      const float* from = reinterpret_cast<const float*>(in + (i * columns + j) * kTile);
      for (std::int64_t c = 0; c < 16; c += 4) transpose_x4<V, 16>(to + c * 16, 16, from + c, 16);
    }
  }
}

// One row of the tiles of a factor. The next tile along the depth is `step` numbers further in memory.
struct TileRow {
  const bf16* tile;
  std::int64_t step;
};

// Computes C (16, 32) = from + A B over `steps` tiles. Each step has one tile of A and two neighbouring tiles
// of B. `from` may be C itself, or nullptr for 0. Rows of C and of `from` are `ldc` apart. The sums along the
// depth are added one after another, so several calls for parts of the depth give the same bits as one call.
//
// The block of C is not larger, because AMX gets slower with more tiles in use if other programs use AMX too.
// On an idle machine, six or eight tiles were not faster than four tiles. On a busy machine, they took up to
// twice the time.
template <class V>
void multiply_tiles(float* c, const float* from, std::int64_t ldc, TileRow a, TileRow b,
                    std::int64_t steps) noexcept {
  if (from == nullptr) {
    tile_zero<0>();
    tile_zero<1>();
  } else {
    tile_load<0>(from, ldc);
    tile_load<1>(from + kTileLanes, ldc);
  }
  for (std::int64_t k = 0; k < steps; ++k) {
    tile_load<2>(a.tile + k * a.step, kTileK);
    tile_load<3>(b.tile + k * b.step, kTileK);
    tile_multiply<0, 2, 3>();
    tile_load<3>(b.tile + k * b.step + kTile, kTileK);
    tile_multiply<1, 2, 3>();
  }
  tile_store<0>(c, ldc);
  tile_store<1>(c + kTileLanes, ldc);
}

}  // namespace inkling::simd
