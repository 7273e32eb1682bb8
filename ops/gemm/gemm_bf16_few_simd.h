// A few rows (one tile of A) times a panel of B that is read once from memory, for generating
// (ops/gemm/gemm_bf16.h). This version widens bf16 to floats, for CPUs without instructions for bf16. The
// other versions are in gemm_bf16_dot_simd.h and gemm_bf16_amx_simd.h.
//
// The sums of a row have the same bits, however many rows are computed together.
#pragma once

#include "ops/gemm/gemm_bf16_simd.h"

namespace inkling::simd {

// Prefetches three cache lines of a panel, one for each of its tiles. It is called for each of the 16 pairs
// of a step, so one step prefetches 3 KiB: the number of bytes that it reads.
template <class V>
void prefetch_panel(const bf16* step, std::int64_t pair) {
  for (std::int64_t t = 0; t < kPanelTiles; ++t) {
    prefetch_stream<V>(step + (pair * kPanelTiles + t) * 2 * kTileLanes);
  }
}

// C (R rows, T tiles of 16 columns) = R rows of A times T neighbouring tiles of B, summed over all steps. A
// tile's 16 columns are NV registers.
template <class V, int R, int T, int NV>
void few_block(float* C, const bf16* a, const bf16* b, std::int64_t steps) {
  constexpr std::int64_t W = V::kLanes;
  V sums[R][T][NV];
#pragma GCC unroll 16
  for (int i = 0; i < R * T * NV; ++i) sums[i / (T * NV)][i / NV % T][i % NV] = V(0.0f);
  for (std::int64_t s = 0; s < steps; ++s, a += kTile, b += kPanelStep) {
    for (std::int64_t pair = 0; pair < kTileLanes; ++pair) {
      if constexpr (T == kPanelTiles) prefetch_panel<V>(b, pair);
      V a_even[R], a_odd[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const bf16* a_r = a + (r * kTileLanes + pair) * 2;
        a_even[r] = V(widened(a_r[0])), a_odd[r] = V(widened(a_r[1]));
      }
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
        for (int j = 0; j < NV; ++j) {
          const bf16* b_tj = b + t * kTile + (pair * kTileLanes + j * W) * 2;
          const auto pairs = to_bits(load<V>(reinterpret_cast<const float*>(b_tj)));
          const V even = even_of_pairs<V>(pairs), odd = odd_of_pairs<V>(pairs);
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            sums[r][t][j] = fma(a_even[r], even, fma(a_odd[r], odd, sums[r][t][j]));
          }
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R * T * NV; ++i) {
    const int r = i / (T * NV), t = i / NV % T, j = i % NV;
    store(C + r * kPanelColumns + t * kTileLanes + j * W, sums[r][t][j]);
  }
}

// Computes blocks of R rows, starting at row r, until fewer than R rows are left. Returns the next row.
template <class V, int R, int T, int NV>
std::int64_t few_rows(float* C, const bf16* a, const bf16* b, std::int64_t r, std::int64_t rows,
                      std::int64_t steps) {
  for (; r + R <= rows; r += R) {
    for (std::int64_t t = 0; t < kPanelTiles; t += T) {
      for (std::int64_t column = 0; column < kTileLanes; column += NV * V::kLanes) {
        few_block<V, R, T, NV>(C + r * kPanelColumns + t * kTileLanes + column, a + r * kTileLanes * 2,
                               b + t * kTile + column * 2, steps);
      }
    }
  }
  return r;
}

// C (rows, 48) = A (rows <= 16, 32 steps) times a panel of B. C has room for 16 rows; the rows from `rows` on
// have undefined contents afterwards (AMX writes them).
// The size of the blocks depends on the registers: there is one version for each size of register.
template <class V>
void multiply_few_widened(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                          std::int64_t steps) noexcept requires(V::kLanes < 8) {
  const DenormalsAreZero<V> as_in_the_instructions;
  const std::int64_t r = few_rows<V, 2, 1, 4>(C, a, b, 0, rows, steps);
  few_rows<V, 1, 1, 4>(C, a, b, r, rows, steps);
}
template <class V>
void multiply_few_widened(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                          std::int64_t steps) noexcept requires(V::kLanes == 8) {
  const DenormalsAreZero<V> as_in_the_instructions;
  const std::int64_t r = few_rows<V, 2, 1, 2>(C, a, b, 0, rows, steps);
  few_rows<V, 1, 3, 2>(C, a, b, r, rows, steps);
}
template <class V>
void multiply_few_widened(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                          std::int64_t steps) noexcept requires(V::kLanes == 16) {
  const DenormalsAreZero<V> as_in_the_instructions;
  std::int64_t r = few_rows<V, 4, 3, 1>(C, a, b, 0, rows, steps);
  r = few_rows<V, 2, 3, 1>(C, a, b, r, rows, steps);
  few_rows<V, 1, 3, 1>(C, a, b, r, rows, steps);
}

}  // namespace inkling::simd
