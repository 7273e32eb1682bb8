// The AMX instructions in software, as Intel's manual (SDM) describes them. See ops/simd/amx_emulation.h.
//
// The Makefile compiles this file with AVX-512. For this reason it includes no header with inline functions.
// The linker keeps one copy of an inline function for the whole program, and a copy from this file would not
// run on a CPU without AVX-512.
#include "ops/simd/amx_emulation.h"

#if defined(__x86_64__)
#include "ops/simd/gcc_105593.h"  // before the intrinsics

#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace inkling::emulated_amx {
namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct State {
  alignas(64) unsigned char tiles[kTiles][kRows][kRowBytes];  // zero outside of a tile's shape
  simd::TilePalette shapes;
  bool configured;
};
thread_local State state{};

[[noreturn]] void illegal(const char* instruction, const char* reason) {
  fprintf(stderr, "emulated AMX: %s: %s\n", instruction, reason);
  abort();
}

void require_tile(const char* instruction, int tile) {
  if (!state.configured) illegal(instruction, "a tile is used without a tile configuration");
  if (tile < 0 || tile >= kTiles) illegal(instruction, "there are eight tiles, 0 to 7");
  if (state.shapes.rows[tile] == 0) illegal(instruction, "this tile has no rows");
}

// Sets the arithmetic of AMX while an object of this class lives: denormal inputs and results count as 0, and
// rounding is to nearest, ties to even. The memory clobbers stop the compiler from moving loads and stores,
// and so the arithmetic between them, out of this scope.
class TileArithmetic {
 public:
  TileArithmetic() {
    __asm__ volatile("stmxcsr %0" : "=m"(before_) : : "memory");
    constexpr unsigned kFlushResults = 0x8000, kNoTraps = 0x1f80, kFlushInputs = 0x0040;
    const unsigned flags = kFlushResults | kNoTraps | kFlushInputs;
    __asm__ volatile("ldmxcsr %0" : : "m"(flags) : "memory");
  }
  ~TileArithmetic() { __asm__ volatile("ldmxcsr %0" : : "m"(before_) : "memory"); }

 private:
  unsigned before_ = 0;
};

// These two functions turn pairs of bf16 into floats. even_of takes the number with the lower address from
// each pair, odd_of takes the other number.
__m512 even_of(__m512i pairs) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}
__m512 odd_of(__m512i pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}
__m512i pair_at(const unsigned char* row, int k) {
  int pair;
  memcpy(&pair, row + 4 * k, 4);
  return _mm512_set1_epi32(pair);
}

// Computes rows m .. m + Rows - 1 of C, in one pass over B.
template <int Rows>
void multiply_rows(int c, int a, int b, int m, int depth, __mmask16 columns) {
  __m512 even[Rows], odd[Rows];
  for (int r = 0; r < Rows; ++r) even[r] = odd[r] = _mm512_setzero_ps();
  for (int k = 0; k < depth; ++k) {
    const __m512i pairs = _mm512_load_si512(state.tiles[b][k]);
    const __m512 b_even = even_of(pairs), b_odd = odd_of(pairs);
    for (int r = 0; r < Rows; ++r) {
      const __m512i a_pair = pair_at(state.tiles[a][m + r], k);
      even[r] = _mm512_fmadd_ps(even_of(a_pair), b_even, even[r]);
      odd[r] = _mm512_fmadd_ps(odd_of(a_pair), b_odd, odd[r]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    unsigned char* row = state.tiles[c][m + r];
    const __m512 sum = _mm512_add_ps(_mm512_load_ps(row), _mm512_add_ps(even[r], odd[r]));
    _mm512_store_ps(row, _mm512_maskz_mov_ps(columns, sum));
  }
}

}  // namespace

void ldtilecfg(const simd::TilePalette& palette) noexcept {
  if (palette.palette != 1) illegal("ldtilecfg", "the palette is not 1");
  if (palette.start_row != 0) illegal("ldtilecfg", "the start row is not 0");
  for (const unsigned char byte : palette.reserved) {
    if (byte != 0) illegal("ldtilecfg", "a reserved byte is not 0");
  }
  for (int i = 0; i < 16; ++i) {
    const int rows = palette.rows[i], bytes = palette.row_bytes[i];
    if (rows > kRows || bytes > kRowBytes) illegal("ldtilecfg", "a tile is larger than 16 rows x 64 bytes");
    if ((rows == 0) != (bytes == 0)) illegal("ldtilecfg", "a tile has rows without columns, or the reverse");
    if (i >= kTiles && rows != 0) illegal("ldtilecfg", "there are only eight tiles");
  }
  memset(state.tiles, 0, sizeof state.tiles);
  state.shapes = palette;
  state.configured = true;
}

void tilerelease() noexcept {
  memset(state.tiles, 0, sizeof state.tiles);
  state.configured = false;
}

void tilezero(int tile) noexcept {
  require_tile("tilezero", tile);
  memset(state.tiles[tile], 0, sizeof state.tiles[tile]);
}

void tileloadd(int tile, const void* rows, std::int64_t stride_bytes) noexcept {
  require_tile("tileloadd", tile);
  const auto* from = static_cast<const unsigned char*>(rows);
  for (int r = 0; r < state.shapes.rows[tile]; ++r, from += stride_bytes)
    memcpy(state.tiles[tile][r], from, state.shapes.row_bytes[tile]);
}

void tilestored(int tile, void* rows, std::int64_t stride_bytes) noexcept {
  require_tile("tilestored", tile);
  auto* to = static_cast<unsigned char*>(rows);
  for (int r = 0; r < state.shapes.rows[tile]; ++r, to += stride_bytes)
    memcpy(to, state.tiles[tile][r], state.shapes.row_bytes[tile]);
}

void tdpbf16ps(int c, int a, int b) noexcept {
  const int tiles[] = {c, a, b};
  for (const int tile : tiles) require_tile("tdpbf16ps", tile);
  if (c == a || c == b || a == b) illegal("tdpbf16ps", "the three tiles must be different");
  const simd::TilePalette& shapes = state.shapes;
  const int rows = shapes.rows[c], columns = shapes.row_bytes[c] / 4, depth = shapes.rows[b];
  if (shapes.rows[a] != rows || shapes.row_bytes[b] != shapes.row_bytes[c] ||
      shapes.row_bytes[a] != 4 * depth || shapes.row_bytes[c] % 4 != 0) {
    illegal("tdpbf16ps", "the shapes of the three tiles do not fit");
  }
  const auto mask = static_cast<__mmask16>((1u << columns) - 1u);
  const TileArithmetic arithmetic;
  int m = 0;
  for (; m + 4 <= rows; m += 4) multiply_rows<4>(c, a, b, m, depth, mask);
  for (; m < rows; ++m) multiply_rows<1>(c, a, b, m, depth, mask);
}

}  // namespace inkling::emulated_amx
#endif
