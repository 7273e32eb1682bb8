// The loops that measure the peak speed of bf16 products, for tables of CPUs that have instructions for these
// products; see ops/roof/roof.h.
#pragma once

#include <immintrin.h>

#include "core/cpu.h"
#include "ops/roof/roof.h"
#include "ops/simd/amx_simd.h"

namespace inkling::simd {

// The loop with vdpbf16ps, an instruction that adds two products to each of 16 sums. The loop has kFmaChains
// independent sums, like the loop of fused multiply-adds.
template <Isa>
std::int64_t bf16_dot_loop(float* sink, std::int64_t iterations) noexcept {
  __m512 sums[kFmaChains];
  for (std::int64_t i = 0; i < kFmaChains; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f7f),
                 b = (__m512bh)_mm512_set1_epi16(0x3089);  // as bf16, these are 0.996 and 1e-9
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (std::int64_t chain = 0; chain < kFmaChains; ++chain)
      sums[chain] = _mm512_dpbf16_ps(sums[chain], a, b);
  }
  for (std::int64_t i = 1; i < kFmaChains; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  *sink = _mm512_cvtss_f32(sums[0]);
  return iterations * kFmaChains * 64;
}

// The loop with AMX. It uses five tiles: one tile of A, one tile of B and three tiles of sums. The loop is
// slower with more or fewer tiles. No tile is zero, because the CPU multiplies zeros faster than real data.
template <class Arch>
std::int64_t amx_dot_loop(float* sink, std::int64_t iterations) noexcept {
  alignas(64) std::uint16_t numbers[kTileLanes * kTileK];
  alignas(64) float sums[kTileLanes * kTileLanes];
  for (std::uint16_t& x : numbers) x = 0x3089;  // 1e-9 as bf16
  for (float& x : sums) x = *sink;
  const Tiles tiles;
  tile_load<0>(sums, kTileLanes);
  tile_load<1>(sums, kTileLanes);
  tile_load<2>(sums, kTileLanes);
  tile_load<3>(numbers, kTileK);
  tile_load<4>(numbers, kTileK);
  for (std::int64_t i = 0; i < iterations; ++i) {
    tile_multiply<0, 3, 4>();
    tile_multiply<1, 3, 4>();
    tile_multiply<2, 3, 4>();
  }
  tile_store<0>(sums, kTileLanes);
  *sink = sums[0];
  return iterations * 3 * 2 * kTileLanes * kTileLanes * kTileK;
}

}  // namespace inkling::simd
