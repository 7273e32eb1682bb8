// AMX: the matrix unit of recent Intel CPUs. It has eight registers of 16 rows x 64 bytes, called tiles, and
// an instruction that multiplies tiles.
//
//   tile_multiply<C, A, B>:  C (16 x 16 floats) += A (16 x 32 bf16) B (32 x 16 bf16)
//
// In its tile, A is stored by rows. B is stored by pairs of rows: row r of its tile holds B(2r, 0) B(2r + 1,
// 0) B(2r, 1) B(2r + 1, 1) and so on ("VNNI pairs"), because the unit adds two products at a time. The
// products are exact and the sums are floats. Denormals count as zero, for any setting of MXCSR (Intel SDM,
// TDPBF16PS).
//
// ops/simd/tile_sizes.h has the sizes of a tile: kTileLanes rows, and a product sums over kTileK numbers. The
// number of a tile is part of the instruction, so it is a template argument. The functions are written in
// assembly because g++'s _tile_loadd accepts only literal numbers, and does not tell the compiler that it
// reads memory: the compiler could move an earlier store behind it.
//
// tests/emulated_amx_kernels.cc compiles the kernels a second time with INKLING_EMULATE_AMX. Then each AMX
// instruction is a call of a function that does the same (ops/simd/amx_emulation.h), and the tests run these
// kernels on CPUs without AMX. The program `inkling` never contains the emulation.
#pragma once

#include <cstdint>

#include "ops/simd/amx_palette.h"
#include "ops/simd/simd.h"
#include "ops/simd/tile_sizes.h"

#if defined(INKLING_EMULATE_AMX)
#include "ops/simd/amx_emulation.h"
#endif

namespace inkling::simd {

constexpr TilePalette kWholeTiles;

// The six instructions of AMX. Strides are in bytes.
#if defined(INKLING_EMULATE_AMX)
// The emulated kernels are compiled for their own type, so that they share no function with the kernels that
// use real AMX.
struct EmulatedAmx {};
template <>
struct RawOf<EmulatedAmx> : RawOf<Amx> {};

namespace instruction = emulated_amx;
#else
namespace instruction {

[[gnu::always_inline]] inline void ldtilecfg(const TilePalette& palette) noexcept {
  __asm__ volatile("ldtilecfg %0" : : "m"(palette));
}
[[gnu::always_inline]] inline void tilerelease() noexcept {
  __asm__ volatile("tilerelease");
}
template <int Tile>
[[gnu::always_inline]] inline void tilezero() noexcept {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
template <int Tile>
[[gnu::always_inline]] inline void tileloadd(const void* rows, std::int64_t stride) noexcept {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(Tile) : "memory");
}
template <int Tile>
[[gnu::always_inline]] inline void tilestored(void* rows, std::int64_t stride) noexcept {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride), "i"(Tile) : "memory");
}
template <int C, int A, int B>
[[gnu::always_inline]] inline void tdpbf16ps() noexcept {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
}

}  // namespace instruction
#endif

// While a Tiles object exists, its thread may use tiles 0 .. 7. All tiles have their full size and are zero
// at first. A kernel creates the object for its own run only, because tiles in use make other work a little
// slower, mostly context switches.
class Tiles {
 public:
  [[gnu::always_inline]] Tiles() noexcept { instruction::ldtilecfg(kWholeTiles); }
  [[gnu::always_inline]] ~Tiles() { instruction::tilerelease(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

template <int Tile>
[[gnu::always_inline]] inline void tile_zero() noexcept {
  instruction::tilezero<Tile>();
}

// Loads a tile from rows that are `stride` numbers apart. T is bf16 or float.
template <int Tile, class T>
[[gnu::always_inline]] inline void tile_load(const T* rows, std::int64_t stride) noexcept {
  instruction::tileloadd<Tile>(rows, stride * static_cast<std::int64_t>(sizeof(T)));
}

template <int Tile, class T>
[[gnu::always_inline]] inline void tile_store(T* rows, std::int64_t stride) noexcept {
  instruction::tilestored<Tile>(rows, stride * static_cast<std::int64_t>(sizeof(T)));
}

template <int C, int A, int B>
[[gnu::always_inline]] inline void tile_multiply() noexcept {
  instruction::tdpbf16ps<C, A, B>();
}

}  // namespace inkling::simd
