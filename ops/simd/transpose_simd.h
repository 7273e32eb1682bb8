// Transposes matrices of floats, a few rows at a time, in registers.
//
// A 4 x 4 block is transposed by two rounds of interleaving:
//     a0 a1 a2 a3      a0 b0 a1 b1      a0 b0 c0 d0
//     b0 b1 b2 b3  ->  a2 b2 a3 b3  ->  a1 b1 c1 d1
//     c0 c1 c2 c3      c0 d0 c1 d1      a2 b2 c2 d2
//     d0 d1 d2 d3      c2 d2 c3 d3      a3 b3 c3 d3
// Wider registers transpose one block in each of their 128-bit lanes at the same time. If lane l of the four
// registers is loaded from rows 4l .. 4l+3, each result register is one column of all rows. So no shuffle
// crosses lanes.
#pragma once

#include <cstdint>

#include "ops/simd/simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace inkling::simd {

// Returns the maximum number of rows that transpose_x4() handles in one register, for panels of R rows.
template <class V, int R>
constexpr int transposed_rows() {
  if (V::kLanes >= 16 && R % 16 == 0) return 16;
  if (V::kLanes >= 8 && R % 8 == 0) return 8;
  return 4;
}

// Transposes R rows of 4 columns: out[c * out_stride + r] = in[r * in_stride + c] for r < R, c < 4. R is 4, 8
// or 16.
template <class V, int R>
void transpose_x4(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride) {
#if defined(__AVX512F__)
  if constexpr (R == 16) {
    const auto quads = [&](std::int64_t row) {
      __m512 lanes = _mm512_castps128_ps512(_mm_loadu_ps(in + row * in_stride));
      lanes = _mm512_insertf32x4(lanes, _mm_loadu_ps(in + (row + 4) * in_stride), 1);
      lanes = _mm512_insertf32x4(lanes, _mm_loadu_ps(in + (row + 8) * in_stride), 2);
      return _mm512_insertf32x4(lanes, _mm_loadu_ps(in + (row + 12) * in_stride), 3);
    };
    const __m512 a = quads(0), b = quads(1), c = quads(2), d = quads(3);
    const __m512 ab_low = _mm512_unpacklo_ps(a, b), ab_high = _mm512_unpackhi_ps(a, b);
    const __m512 cd_low = _mm512_unpacklo_ps(c, d), cd_high = _mm512_unpackhi_ps(c, d);
    _mm512_storeu_ps(out, _mm512_shuffle_ps(ab_low, cd_low, 0x44));
    _mm512_storeu_ps(out + out_stride, _mm512_shuffle_ps(ab_low, cd_low, 0xee));
    _mm512_storeu_ps(out + 2 * out_stride, _mm512_shuffle_ps(ab_high, cd_high, 0x44));
    _mm512_storeu_ps(out + 3 * out_stride, _mm512_shuffle_ps(ab_high, cd_high, 0xee));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (R == 8) {
    const auto quads = [&](std::int64_t row) {
      const __m256 low = _mm256_castps128_ps256(_mm_loadu_ps(in + row * in_stride));
      return _mm256_insertf128_ps(low, _mm_loadu_ps(in + (row + 4) * in_stride), 1);
    };
    const __m256 a = quads(0), b = quads(1), c = quads(2), d = quads(3);
    const __m256 ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    const __m256 cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    _mm256_storeu_ps(out, _mm256_shuffle_ps(ab_low, cd_low, 0x44));
    _mm256_storeu_ps(out + out_stride, _mm256_shuffle_ps(ab_low, cd_low, 0xee));
    _mm256_storeu_ps(out + 2 * out_stride, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
    _mm256_storeu_ps(out + 3 * out_stride, _mm256_shuffle_ps(ab_high, cd_high, 0xee));
    return;
  }
#endif
#if defined(__SSE2__)
  if constexpr (R == 4 && V::kLanes >= 4) {
    const __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps(in + in_stride);
    const __m128 c = _mm_loadu_ps(in + 2 * in_stride), d = _mm_loadu_ps(in + 3 * in_stride);
    const __m128 ab_low = _mm_unpacklo_ps(a, b), ab_high = _mm_unpackhi_ps(a, b);
    const __m128 cd_low = _mm_unpacklo_ps(c, d), cd_high = _mm_unpackhi_ps(c, d);
    _mm_storeu_ps(out, _mm_movelh_ps(ab_low, cd_low));
    _mm_storeu_ps(out + out_stride, _mm_movehl_ps(cd_low, ab_low));
    _mm_storeu_ps(out + 2 * out_stride, _mm_movelh_ps(ab_high, cd_high));
    _mm_storeu_ps(out + 3 * out_stride, _mm_movehl_ps(cd_high, ab_high));
    return;
  }
#endif
  for (std::int64_t c = 0; c < 4; ++c) {
    for (std::int64_t r = 0; r < R; ++r) out[c * out_stride + r] = in[r * in_stride + c];
  }
}

// Transposes a block that is too narrow for registers, element by element.
template <class V>
void transpose_plainly(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride,
                       std::int64_t rows, std::int64_t columns, bool accumulate) {
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) {
      float& element = out[c * out_stride + r];
      element = (accumulate ? element : 0.0f) + in[r * in_stride + c];
    }
  }
}

// Computes out (columns, rows) = (or +=) the transpose of in (rows, columns). Rows are out_stride and
// in_stride apart.
template <class V>
void transpose(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride,
               std::int64_t rows, std::int64_t columns, bool accumulate) noexcept {
  constexpr int R = transposed_rows<V, 16>();
  const std::int64_t body_rows = rows - rows % R, body_columns = columns - columns % 4;
  for (std::int64_t r = 0; r < body_rows; r += R) {
    for (std::int64_t c = 0; c < body_columns; c += 4) {
      float* block = out + c * out_stride + r;
      if (!accumulate) {
        transpose_x4<V, R>(block, out_stride, in + r * in_stride + c, in_stride);
        continue;
      }
      alignas(64) float sums[4 * R];
      transpose_x4<V, R>(sums, R, in + r * in_stride + c, in_stride);
      for (std::int64_t i = 0; i < 4 * R; i += V::kLanes) {
        float* place = block + i / R * out_stride + i % R;
        store(place, load<V>(place) + load<V>(sums + i));
      }
    }
  }
  transpose_plainly<V>(out + body_columns * out_stride, out_stride, in + body_columns, in_stride, body_rows,
                       columns - body_columns, accumulate);
  transpose_plainly<V>(out + body_rows, out_stride, in + body_rows * in_stride, in_stride, rows - body_rows,
                       columns, accumulate);
}

// Transposes a matrix whose rows have no gaps between them.
template <class V>
void transpose(float* out, const float* in, std::int64_t rows, std::int64_t columns) noexcept {
  transpose<V>(out, rows, in, columns, rows, columns, false);
}

}  // namespace inkling::simd
