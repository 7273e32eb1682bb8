// AMX's instructions as functions, for CPUs without AMX. The tests' table of kernels calls these functions
// instead of the instructions (ops/simd/amx_simd.h). The functions are defined in tests/amx_emulation.cc, so
// only the tests can link them.
//
// Each thread has its own eight tiles, as on the CPU. If a function is called in a case in which the
// instruction is illegal on the CPU (a tile is used before ldtilecfg or after tilerelease, or shapes do not
// fit), it prints a line and aborts.
#pragma once

#include <cstdint>

#include "ops/simd/amx_palette.h"

namespace inkling::emulated_amx {

// The instructions of AMX, with the number of a tile as a function argument.
void ldtilecfg(const simd::TilePalette& palette) noexcept;
void tilerelease() noexcept;
void tilezero(int tile) noexcept;
void tileloadd(int tile, const void* rows, std::int64_t stride_bytes) noexcept;
void tilestored(int tile, void* rows, std::int64_t stride_bytes) noexcept;
void tdpbf16ps(int c, int a, int b) noexcept;

// The instructions of AMX, with the number of a tile as a template argument, as in ops/simd/amx_simd.h.
template <int Tile>
[[gnu::always_inline]] inline void tilezero() noexcept {
  tilezero(Tile);
}
template <int Tile>
[[gnu::always_inline]] inline void tileloadd(const void* rows, std::int64_t stride_bytes) noexcept {
  tileloadd(Tile, rows, stride_bytes);
}
template <int Tile>
[[gnu::always_inline]] inline void tilestored(void* rows, std::int64_t stride_bytes) noexcept {
  tilestored(Tile, rows, stride_bytes);
}
template <int C, int A, int B>
[[gnu::always_inline]] inline void tdpbf16ps() noexcept {
  tdpbf16ps(C, A, B);
}

}  // namespace inkling::emulated_amx
