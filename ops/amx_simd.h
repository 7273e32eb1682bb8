// AMX: eight registers of 16 rows x 64 bytes, called tiles, and the instruction that multiplies them.
//
//   tile_multiply<C, A, B>:  C (16 x 16 floats) += A (16 x 32 bf16) B (32 x 16 bf16)
//
// A is stored by rows. B is stored by pairs of rows: row r of its tile holds B(2r, 0) B(2r + 1, 0) B(2r, 1)
// B(2r + 1, 1) and so on ("VNNI pairs"), because the unit adds two products at a time. The products are exact
// and the sums floats; denormals count as zero, whatever the flags say (Intel SDM, TDPBF16PS).
//
// The tiles of ops/gemm_bf16_tiles.h are of this size: kTileLanes rows, and a product sums over kTileK
// numbers. The number of a tile is part of the instruction: a template argument. These are written in
// assembly since g++'s own _tile_loadd takes literal numbers only, and does not tell the compiler that it
// reads memory: a store before it may be moved behind it.
#pragma once

#include <cstdint>

#include "ops/gemm_bf16_tiles.h"
#include "ops/simd.h"

namespace inkling::simd {

struct alignas(64) TilePalette {  // the operand of ldtilecfg
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TilePalette kWholeTiles;

// While one lives, its thread may use tiles 0 .. 7, all of them whole and at first zero. A kernel holds one
// for as long as it runs: in use, tiles slow down everything else a bit, context switches above all.
class Tiles {
 public:
  [[gnu::always_inline]] Tiles() noexcept { __asm__ volatile("ldtilecfg %0" : : "m"(kWholeTiles)); }
  [[gnu::always_inline]] ~Tiles() { __asm__ volatile("tilerelease"); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

template <int Tile>
[[gnu::always_inline]] inline void tile_zero() noexcept {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}

// Rows `stride` numbers apart, T being bf16 or float.
template <int Tile, class T>
[[gnu::always_inline]] inline void tile_load(const T* rows, std::int64_t stride) noexcept {
  const auto bytes = stride * static_cast<std::int64_t>(sizeof(T));
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(bytes), "i"(Tile) : "memory");
}

template <int Tile, class T>
[[gnu::always_inline]] inline void tile_store(T* rows, std::int64_t stride) noexcept {
  const auto bytes = stride * static_cast<std::int64_t>(sizeof(T));
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(bytes), "i"(Tile) : "memory");
}

template <int C, int A, int B>
[[gnu::always_inline]] inline void tile_multiply() noexcept {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
}

}  // namespace inkling::simd
