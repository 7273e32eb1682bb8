// 16-bit integers times 8-bit weights, with AVX512-VNNI. The mathematics is in ops/gemm/gemv_int8.h.
//
// vpdpbusd adds four products to each 32-bit sum, but one factor must be unsigned and the other signed. So
// 128 is added to the weights. This adds 128 times the sum of x's digits to each sum, which is subtracted at
// the end.
#pragma once

#include "ops/gemm/gemv_int8_simd.h"

namespace inkling::simd {

// A row of X (K) as digits: for each quad of numbers, four digits h, then four digits l. After all quads come
// the numbers to subtract from the two sums, and t.
template <class Arch>
struct Int8Digits {
  std::int32_t high_off, low_off;
  float scale;

  static std::int64_t quad_bytes(std::int64_t K) { return (K + kInt8Quad - 1) / kInt8Quad * 2 * kInt8Quad; }
  static Int8Digits of(const std::byte* x, std::int64_t K) {
    Int8Digits digits;
    __builtin_memcpy(&digits, x + quad_bytes(K), sizeof(digits));
    return digits;
  }
};

// Prepares a row of X (K). If it contains NaN or an infinity, its scale is NaN, and so is its row of Y.
template <class Arch>
void int8_digits(std::byte* out, const float* x, std::int64_t K) noexcept {
  using V = Floats<Arch>;
  constexpr std::int64_t W = V::kLanes;
  constexpr float kMost = 127 * 256 + 127, kLeast = 1e-30f;
  const auto at = [&](std::int64_t k) { return K - k >= W ? load<V>(x + k) : load_n<V>(x + k, K - k); };
  V largest(0.0f), nothing(0.0f);
  for (std::int64_t k = 0; k < K; k += W) {
    largest = max(largest, max(at(k), -at(k)));
    nothing = fma(at(k), V(0.0f), nothing);
  }
  const float most = greatest(largest), not_finite = sum(nothing);
  const V inverse(most > kLeast ? kMost / most : 0.0f);
  __m512i high_sum = _mm512_setzero_si512(), low_sum = _mm512_setzero_si512();
  std::byte* quads = out;
  for (std::int64_t k = 0; k < K; k += W) {
    const V bounded = max(V(-kMost), min(at(k) * inverse, V(kMost)));  // this also turns NaN into a number
    const __m512i whole = _mm512_cvtps_epi32(bounded.raw);
    const __m512i low = _mm512_srai_epi32(_mm512_slli_epi32(whole, 24), 24);
    const __m512i high = _mm512_srai_epi32(_mm512_sub_epi32(whole, low), 8);
    high_sum = _mm512_add_epi32(high_sum, high), low_sum = _mm512_add_epi32(low_sum, low);
    const __m128i h = _mm512_cvtepi32_epi8(high), l = _mm512_cvtepi32_epi8(low);
    const __m128i pairs[2] = {_mm_unpacklo_epi32(h, l), _mm_unpackhi_epi32(h, l)};
    const std::int64_t bytes = Int8Digits<Arch>::quad_bytes(K - k < W ? K - k : W);
    __builtin_memcpy(quads, pairs, static_cast<std::size_t>(bytes));
    quads += bytes;
  }
  const Int8Digits<Arch> digits{128 * _mm512_reduce_add_epi32(high_sum),
                                128 * _mm512_reduce_add_epi32(low_sum), most / kMost + not_finite};
  __builtin_memcpy(quads, &digits, sizeof(digits));
}

// Four 8-bit numbers in every lane.
template <class Arch>
__m512i four_bytes(const std::byte* p) {
  float four;  // their bits; a load can copy a float to all lanes
  __builtin_memcpy(&four, p, sizeof(four));
  return _mm512_castps_si512(_mm512_set1_ps(four));
}

// ROWS rows of Y and COLUMNS registers of a panel's outputs, starting with output `column`.
template <class Arch, int ROWS, int COLUMNS>
void int8_dot_tile(const MatrixOut<float>& Y, const std::byte* x, std::int64_t stride, const Int8Panel& panel,
                   std::int64_t column, std::int64_t K) {
  using V = Floats<Arch>;
  __m512i high[ROWS][COLUMNS], low[ROWS][COLUMNS];
#pragma GCC unroll 4
  for (int m = 0; m < ROWS; ++m) {
#pragma GCC unroll 4
    for (int j = 0; j < COLUMNS; ++j) high[m][j] = low[m][j] = _mm512_setzero_si512();
  }
  const std::int8_t* q = panel.q + column * kInt8Quad;
  const __m512i offset = _mm512_set1_epi8(-128);
  const std::int64_t bytes = Int8Digits<Arch>::quad_bytes(K);
  for (std::int64_t quad = 0; quad < bytes; quad += 2 * kInt8Quad, q += kInt8Panel * kInt8Quad) {
    __m512i w[COLUMNS];
#pragma GCC unroll 4
    for (int j = 0; j < COLUMNS; ++j) {
      prefetch_stream<V>(q + j * 64);
      w[j] = _mm512_xor_si512(_mm512_loadu_si512(q + j * 64), offset);
    }
#pragma GCC unroll 4
    for (int m = 0; m < ROWS; ++m) {
      const __m512i h = four_bytes<Arch>(x + m * stride + quad);
      const __m512i l = four_bytes<Arch>(x + m * stride + quad + kInt8Quad);
#pragma GCC unroll 4
      for (int j = 0; j < COLUMNS; ++j) {
        high[m][j] = _mm512_dpbusd_epi32(high[m][j], w[j], h);
        low[m][j] = _mm512_dpbusd_epi32(low[m][j], w[j], l);
      }
    }
  }
  const auto without = [](__m512i sums, std::int32_t off) {
    return V(typename V::Raw(_mm512_cvtepi32_ps(_mm512_sub_epi32(sums, _mm512_set1_epi32(off)))));
  };
#pragma GCC unroll 4
  for (int m = 0; m < ROWS; ++m) {
    const auto digits = Int8Digits<Arch>::of(x + m * stride, K);
#pragma GCC unroll 4
    for (int j = 0; j < COLUMNS; ++j) {
      const V sums = fma(V(256.0f), without(high[m][j], digits.high_off), without(low[m][j], digits.low_off));
      finish_int8<V>(Y, sums * V(digits.scale), panel, m, column + j * V::kLanes);
    }
  }
}

// The same function as gemv_int8 in ops/gemm/gemv_int8_simd.h, for rows of x prepared by int8_digits().
template <class Arch>
void gemv_int8_dot(const MatrixOut<float>& Y, Int8Rows X, Int8Panel W, std::int64_t M,
                   std::int64_t K) noexcept {
  std::int64_t m = 0;
  const auto blocks_of = [&]<int ROWS, int COLUMNS>() {
    for (; m + ROWS <= M; m += ROWS) {
      for (std::int64_t column = 0; column < W.columns; column += COLUMNS * Floats<Arch>::kLanes) {
        int8_dot_tile<Arch, ROWS, COLUMNS>(Y.from(m, 0), X.data + m * X.stride, X.stride, W, column, K);
      }
    }
  };
  blocks_of.template operator()<4, 2>();  // 16 sums: with more, g++ 12 keeps some in memory
  blocks_of.template operator()<1, 4>();
}

}  // namespace inkling::simd
