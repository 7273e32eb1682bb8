// The micro-kernel of ops/gemm/gemm_bf16.h with AVX512-BF16. The instruction vdpbf16ps adds the two products
// of a pair to each of 16 sums. As in f32 (ops/gemm/gemm_simd.h), 8 rows of 48 columns are 24 independent
// sums.
#pragma once

#include <type_traits>

#include "ops/gemm/gemm_bf16_few_simd.h"

namespace inkling::simd {

// R rows of C. kStream means that B is read from memory.
template <class Arch, int R, bool kStream>
void dot_block(float* C, const bf16* a, const bf16* b, std::int64_t steps, bool accumulate) {
  constexpr int N = static_cast<int>(kPanelTiles);
  __m512 sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
    for (int j = 0; j < N; ++j) {
      sums[r][j] = accumulate ? _mm512_loadu_ps(C + r * kPanelColumns + j * kTileLanes) : _mm512_setzero_ps();
    }
  }
  for (std::int64_t s = 0; s < steps; ++s, a += kTile, b += kPanelStep) {
    for (std::int64_t pair = 0; pair < kTileLanes; ++pair) {
      if constexpr (kStream) prefetch_panel<Floats<Arch>>(b, pair);
      __m512bh b_pair[N];
#pragma GCC unroll 3
      for (int j = 0; j < N; ++j) {
        b_pair[j] = (__m512bh)_mm512_loadu_si512(b + j * kTile + pair * 2 * kTileLanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        std::int32_t bits;
        __builtin_memcpy(&bits, a + (r * kTileLanes + pair) * 2, sizeof(bits));
        const auto a_pair = (__m512bh)_mm512_set1_epi32(bits);
#pragma GCC unroll 3
        for (int j = 0; j < N; ++j) sums[r][j] = _mm512_dpbf16_ps(sums[r][j], a_pair, b_pair[j]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
    for (int j = 0; j < N; ++j) _mm512_storeu_ps(C + r * kPanelColumns + j * kTileLanes, sums[r][j]);
  }
}

// The same function as multiply_widened in ops/gemm/gemm_bf16_simd.h.
template <class Arch>
void multiply_dot(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                  std::int64_t steps, bool accumulate) noexcept {
  for (std::int64_t i = 0; i < tiles_a; ++i, a += a_stride, C += kTileLanes * kPanelColumns) {
    dot_block<Arch, 8, false>(C, a, b, steps, accumulate);
    dot_block<Arch, 8, false>(C + 8 * kPanelColumns, a + 8 * 2 * kTileLanes, b, steps, accumulate);
  }
}

// The same function as multiply_few_widened in ops/gemm/gemm_bf16_few_simd.h.
template <class Arch>
void multiply_few_dot(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                      std::int64_t steps) noexcept {
  std::int64_t r = 0;
  const auto blocks_of = [&]<int R>(std::integral_constant<int, R>) {
    for (; r + R <= rows; r += R) {
      dot_block<Arch, R, true>(C + r * kPanelColumns, a + r * 2 * kTileLanes, b, steps, false);
    }
  };
  blocks_of(std::integral_constant<int, 8>{});
  blocks_of(std::integral_constant<int, 4>{});
  blocks_of(std::integral_constant<int, 2>{});
  blocks_of(std::integral_constant<int, 1>{});
}

}  // namespace inkling::simd
