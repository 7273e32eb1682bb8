// The micro-kernel of ops/gemm/gemm_bf16.h on AMX: loads the packed tiles of A and B and multiplies them.
//
// Two tiles of A, loaded into one register one after the other, are multiplied by one tile of B. With two
// tiles of C, four registers are in use. A larger block would need fewer loads for each product. But on the
// machines that we measured, tiles get slower when more of them are in use: a product with its loads
// takes 14.6 ns this way, 18.7 ns with 1 x 3 tiles, and 31 ns with 2 x 2 tiles and all eight in use. These
// numbers are from a busy machine; on an idle machine they are 7.0, 9.3 and 7.0 ns.
#pragma once

#include "ops/gemm/gemm_bf16_few_simd.h"
#include "ops/simd/amx_simd.h"

namespace inkling::simd {

// Prefetches the next block of B into L2, a few lines in each step. It is read from L3 or memory, and the
// hardware does not predict tile loads. A prefetch past the end is harmless: it never faults.
struct NextBlock {
  const char* line;
  std::int64_t lines_a_step;

  [[gnu::always_inline]] inline void fetch() {
    for (std::int64_t i = 0; i < lines_a_step; ++i, line += 64) __builtin_prefetch(line, 0, 2);
  }
};

// One column of tiles of C: Rows tiles of A (1 or 2) times a tile of B, summed over the steps.
template <class Arch, int Rows>
void multiply_column(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t steps,
                     bool accumulate, NextBlock& next) {
  float* below = C + kTileLanes * kPanelColumns;
  if (accumulate) {
    tile_load<0>(C, kPanelColumns);
    if constexpr (Rows == 2) tile_load<1>(below, kPanelColumns);
  } else {
    tile_zero<0>();
    if constexpr (Rows == 2) tile_zero<1>();
  }
  for (std::int64_t s = 0; s < steps; ++s) {
    next.fetch();
    tile_load<2>(a + s * kTile, kTileK);
    tile_load<3>(b + s * kPanelStep, kTileK);
    tile_multiply<0, 2, 3>();
    if constexpr (Rows == 2) {
      tile_load<2>(a + a_stride + s * kTile, kTileK);
      tile_multiply<1, 2, 3>();
    }
  }
  tile_store<0>(C, kPanelColumns);
  if constexpr (Rows == 2) tile_store<1>(below, kPanelColumns);
}

// The same function as multiply_widened in ops/gemm/gemm_bf16_simd.h.
template <class Arch>
void multiply_amx(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                  std::int64_t steps, bool accumulate) noexcept {
  const Tiles tiles;
  const std::int64_t lines = steps * kPanelStep * 2 / 64, turns = (tiles_a + 1) / 2 * kPanelTiles * steps;
  NextBlock next{reinterpret_cast<const char*>(b + steps * kPanelStep), (lines + turns - 1) / turns};
  std::int64_t i = 0;
  for (; i + 2 <= tiles_a; i += 2, a += 2 * a_stride, C += 2 * kTileLanes * kPanelColumns) {
    for (std::int64_t j = 0; j < kPanelTiles; ++j) {
      multiply_column<Arch, 2>(C + j * kTileLanes, a, a_stride, b + j * kTile, steps, accumulate, next);
    }
  }
  for (std::int64_t j = 0; i < tiles_a && j < kPanelTiles; ++j) {
    multiply_column<Arch, 1>(C + j * kTileLanes, a, a_stride, b + j * kTile, steps, accumulate, next);
  }
}

// Call this for each tile of B when it is used. For each cache line of the tile, it prefetches lines that
// will be read later (prefetch_stream in ops/simd/simd.h). Returns the address of the next tile.
template <class Arch>
const bf16* prefetch_tile(const bf16* tile) {
  const bf16* end = tile + kTile;
  for (; tile < end; tile += kTileK) prefetch_stream<Floats<Arch>>(tile);
  return end;
}

// The product of a single row of A. It uses no tiles, because registers read a panel faster. The sums have
// the same bits: over the 32 numbers of a step, a tile sums even and odd k separately, and then adds both
// sums to its old value (Intel SDM, TDPBF16PS).
template <class V>
void multiply_one_row(float* C, const bf16* a, const bf16* b, std::int64_t steps) {
  V sums[kPanelTiles] = {V(0.0f), V(0.0f), V(0.0f)};
  for (std::int64_t s = 0; s < steps; ++s, a += kTile, b += kPanelStep) {
    V even[kPanelTiles] = {V(0.0f), V(0.0f), V(0.0f)}, odd[kPanelTiles] = {V(0.0f), V(0.0f), V(0.0f)};
#pragma GCC unroll 4
    for (std::int64_t pair = 0; pair < kTileLanes; ++pair) {
      prefetch_panel<V>(b, pair);
      const V a_even(widened(a[2 * pair])), a_odd(widened(a[2 * pair + 1]));
#pragma GCC unroll 3
      for (std::int64_t t = 0; t < kPanelTiles; ++t) {
        const bf16* b_t = b + t * kTile + pair * 2 * kTileLanes;
        const auto pairs = to_bits(load<V>(reinterpret_cast<const float*>(b_t)));
        even[t] = fma(a_even, even_of_pairs<V>(pairs), even[t]);
        odd[t] = fma(a_odd, odd_of_pairs<V>(pairs), odd[t]);
      }
    }
    for (std::int64_t t = 0; t < kPanelTiles; ++t) sums[t] += even[t] + odd[t];
  }
  for (std::int64_t t = 0; t < kPanelTiles; ++t) store(C + t * kTileLanes, sums[t]);
}

// The same function as multiply_few_widened in ops/gemm/gemm_bf16_few_simd.h. It takes the same time for 2
// and for 16 rows.
template <class Arch>
void multiply_few_amx(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                      std::int64_t steps) noexcept {
  if (rows == 1) return multiply_one_row<Floats<Arch>>(C, a, b, steps);
  const Tiles tiles;
  for (std::int64_t s = 0; s < steps; ++s, a += kTile) {
    tile_load<3>(a, kTileK);
    tile_load<4>(b, kTileK);
    tile_multiply<0, 3, 4>();
    b = prefetch_tile<Arch>(b);
    tile_load<4>(b, kTileK);
    tile_multiply<1, 3, 4>();
    b = prefetch_tile<Arch>(b);
    tile_load<4>(b, kTileK);
    tile_multiply<2, 3, 4>();
    b = prefetch_tile<Arch>(b);
  }
  tile_store<0>(C, kPanelColumns);
  tile_store<1>(C + kTileLanes, kPanelColumns);
  tile_store<2>(C + 2 * kTileLanes, kPanelColumns);
}

}  // namespace inkling::simd
