// The types and functions of SIMD that all kernels use, built on xsimd.
//
// A kernel is a template on V, a register of floats: `template <class V> void gelu_forward(float* y, const
// float* x, n)`. V is Floats<Arch>. For neon, sse2, avx2 and avx512, Floats<Arch> contains an xsimd::batch;
// Floats<Scalar> contains a single float. So one source serves all instruction sets, and the scalar table
// tests the template without SIMD. Differences between xsimd 8.1 and 14, and slow functions of xsimd, are
// corrected only in this file:
//   - xsimd 8.1 has no fused multiply-add for AVX-512: its fma() multiplies, then adds. The fma() of this
//     file uses the CPU's instruction. The negative of 0 is -0 on all instruction sets.
//   - xsimd 8.1 approximates float division and square roots on NEON. The functions of this file use the
//     CPU's instructions, which round correctly.
//   - load_n and store_n, for the tail of an array, access the memory of the first n lanes only.
// Only ops/isa/isa_*.cc may include this file (through the *_simd.h). Each of them is compiled with its own
// -m flags. Every function in this file and in the kernels is a template on V or Arch. Otherwise one function
// could be compiled twice with different instructions under the same name (make check-isa).
#pragma once

#include <xsimd/xsimd.hpp>

#include <cstdint>
#include <type_traits>

#include "core/bf16.h"

namespace inkling::simd {

struct Scalar {};  // an instruction set with one lane

template <class Arch>
struct RawOf {
  using Float = xsimd::batch<float, Arch>;
  using Int = xsimd::batch<std::int32_t, Arch>;
  static constexpr std::int64_t kLanes = static_cast<std::int64_t>(Float::size);
  static constexpr bool kRoundsToBf16 = false;  // whether there is an instruction that rounds to bf16
};
template <>
struct RawOf<Scalar> {
  using Float = float;
  using Int = std::int32_t;
  static constexpr std::int64_t kLanes = 1;
  static constexpr bool kRoundsToBf16 = false;
};

#if defined(__AVX512BF16__)
// Avx512Bf16 and Amx have the same registers as avx512. They are separate types, so that their tables share
// no function with the table of avx512.
struct Avx512Bf16 {};
template <>
struct RawOf<Avx512Bf16> : RawOf<xsimd::avx512bw> {
  static constexpr bool kRoundsToBf16 = true;
};
struct Amx {};
template <>
struct RawOf<Amx> : RawOf<Avx512Bf16> {};
#endif

// Floats: a register of floats.
template <class Arch>
struct Floats {
  using Raw = typename RawOf<Arch>::Float;
  using Int = typename RawOf<Arch>::Int;
  static constexpr std::int64_t kLanes = RawOf<Arch>::kLanes;
  static constexpr bool kScalar = std::is_same_v<Arch, Scalar>;
  static constexpr bool kRoundsToBf16 = RawOf<Arch>::kRoundsToBf16;

  Raw raw;

  Floats() = default;
  Floats(float x) : raw(x) {}  // puts x into all lanes; not explicit, so that kernels can use plain numbers
  template <class R, class = std::enable_if_t<std::is_same_v<R, Raw> && !std::is_same_v<R, float>>>
  Floats(R r) : raw(r) {}

  friend Floats operator+(Floats a, Floats b) { return Floats(a.raw + b.raw); }
  friend Floats operator-(Floats a, Floats b) { return Floats(a.raw - b.raw); }
  friend Floats operator*(Floats a, Floats b) { return Floats(a.raw * b.raw); }
  friend Floats operator/(Floats a, Floats b) {
#if defined(__aarch64__)
    if constexpr (!kScalar) return Floats(Raw(vdivq_f32(a.raw, b.raw)));
#endif
    return Floats(a.raw / b.raw);
  }
  // Changes the sign, also of 0. (xsimd 8.1 computes 0 - a for AVX-512, and the negative of 0 would be 0.)
  friend Floats operator-(Floats a) {
#if defined(__AVX512F__)
    if constexpr (kLanes == 16) return Floats(Raw(_mm512_xor_ps(a.raw, _mm512_set1_ps(-0.0f))));
#endif
    return Floats(-a.raw);
  }
  Floats& operator+=(Floats b) {
    return *this = *this + b;
  }
  Floats& operator*=(Floats b) {
    return *this = *this * b;
  }
};

template <class V>
V load(const float* p) {  // p needs no alignment
  if constexpr (V::kScalar) {
    return V(*p);
  } else {
    return V(V::Raw::load_unaligned(p));
  }
}

template <class Arch>
void store(float* p, Floats<Arch> v) {
  if constexpr (Floats<Arch>::kScalar) {
    *p = v.raw;
  } else {
    v.raw.store_unaligned(p);
  }
}

#if defined(__AVX2__)
// The mask of the first n of eight lanes.
template <class V>
__m256i first_lanes(std::int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<std::int32_t>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

// Loads the first n lanes of a register from memory (0 <= n <= lanes); the other lanes are set to `rest`.
template <class V>
V load_n(const float* p, std::int64_t n, float rest = 0.0f) {
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) {
    return V(typename V::Raw(
        _mm512_mask_loadu_ps(_mm512_set1_ps(rest), static_cast<__mmask16>((1u << n) - 1u), p)));
  }
#endif
#if defined(__AVX2__)
  if constexpr (V::kLanes == 8) {
    const __m256i first_n = first_lanes<V>(n);
    const __m256 values = _mm256_maskload_ps(p, first_n);
    return V(typename V::Raw(_mm256_blendv_ps(_mm256_set1_ps(rest), values, _mm256_castsi256_ps(first_n))));
  }
#endif
  alignas(64) float lanes[V::kLanes];
  for (std::int64_t i = 0; i < V::kLanes; ++i) lanes[i] = i < n ? p[i] : rest;
  return load<V>(lanes);
}

template <class Arch>
void store_n(float* p, Floats<Arch> v, std::int64_t n) {
  using V = Floats<Arch>;
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), v.raw);
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (V::kLanes == 8) {
    _mm256_maskstore_ps(p, first_lanes<V>(n), v.raw);
    return;
  }
#endif
  alignas(64) float lanes[V::kLanes];
  store(lanes, v);
  for (std::int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

// Loading and storing bf16: the numbers are bf16 in memory and floats in registers. Storing rounds to
// nearest, ties to even, and makes NaNs quiet, as to_bf16() does. It turns denormals into zeros, because the
// instruction that some CPUs have for this does so.
[[gnu::always_inline]] inline float widened(bf16 x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16);
}

template <class V>
V load(const bf16* p) {
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) {
    const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return V(typename V::Raw(_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16))));
  }
#endif
#if defined(__AVX2__)
  if constexpr (V::kLanes == 8) {
    const __m128i upper = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return V(typename V::Raw(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16))));
  }
#endif
  alignas(64) float lanes[V::kLanes];
  for (std::int64_t i = 0; i < V::kLanes; ++i) {
    lanes[i] = widened(p[i]);
  }
  return load<V>(lanes);
}

#if defined(__AVX512F__)
// Rounds each lane to bf16 and returns it in the lane's upper 16 bits. The lower 16 bits are undefined.
template <class Arch>
[[gnu::always_inline]] inline __m512i bf16_in_upper_half(Floats<Arch> v) {
  const __m512i bits = _mm512_castps_si512(v.raw);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(v.raw, v.raw, _CMP_UNORD_Q);
  const __m512i quiet = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  const __mmask16 denormal = _mm512_testn_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));  // or zero
  return _mm512_mask_and_epi32(quiet, denormal, bits,
                               _mm512_set1_epi32(static_cast<std::int32_t>(0x80000000u)));
}
#endif

// Stores a register as bf16. The generic code uses memcpy, because p may point to memory that holds floats:
// the gradient of cross-entropy overwrites floats with bf16.
template <class Arch>
void store(bf16* p, Floats<Arch> v) {
  using V = Floats<Arch>;
#if defined(__AVX512BF16__)
  if constexpr (V::kRoundsToBf16) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v.raw));
    return;
  }
#endif
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) {
    const __m512i upper = _mm512_srli_epi32(bf16_in_upper_half(v), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(upper));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (V::kLanes == 8) {
    const __m256i bits = _mm256_castps_si256(v.raw);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v.raw, v.raw, _CMP_UNORD_Q));
    const __m256i sign = _mm256_set1_epi32(static_cast<std::int32_t>(0x80000000u));
    const __m256i normal = _mm256_cmpgt_epi32(_mm256_andnot_si256(sign, bits), _mm256_set1_epi32(0x7fffff));
    const __m256i flushed = _mm256_and_si256(_mm256_or_si256(normal, sign), rounded);
    const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(flushed, quiet, nan), 16);
    const __m128i all = _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), all);
    return;
  }
#endif
  alignas(64) float lanes[V::kLanes];
  std::uint16_t upper[V::kLanes];
  store(lanes, v);
  for (std::int64_t i = 0; i < V::kLanes; ++i) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, lanes[i]);
    const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    const bool nan = (bits & 0x7fffffffu) > 0x7f800000u, denormal = (bits & 0x7f800000u) == 0;
    const std::uint32_t result = nan ? bits | 0x400000u : denormal ? bits & 0x80000000u : rounded;
    upper[i] = static_cast<std::uint16_t>(result >> 16);
  }
  __builtin_memcpy(p, upper, sizeof(upper));
}

template <class V>
V load_n(const bf16* p, std::int64_t n, float rest = 0.0f) {
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) {
    const auto first_n = static_cast<__mmask16>((1u << n) - 1u);
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_n, p));
    const __m512 values = _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    return V(typename V::Raw(_mm512_mask_blend_ps(first_n, _mm512_set1_ps(rest), values)));
  }
#endif
  alignas(64) float lanes[V::kLanes];
  for (std::int64_t i = 0; i < V::kLanes; ++i) {
    lanes[i] = i < n ? widened(p[i]) : rest;
  }
  return load<V>(lanes);
}

template <class Arch>
void store_n(bf16* p, Floats<Arch> v, std::int64_t n) {
  bf16 lanes[Floats<Arch>::kLanes];
  store(lanes, v);
  __builtin_memcpy(p, lanes, static_cast<std::size_t>(n) * sizeof(bf16));
}

// Prefetches weights that are read once and in order, with computation in between. Call it for each cache
// line p. It prefetches a line far ahead into the L2 cache and a line shortly ahead into the L1 cache. With
// the hardware's prefetching alone, such reading reaches only half of the memory's speed. A prefetch past the
// end of an array is harmless.
template <class V>
void prefetch_stream(const void* p) {
  constexpr std::int64_t kNear = 6144, kFar = 24576;  // how far ahead it prefetches, in bytes
  __builtin_prefetch(static_cast<const char*>(p) + kNear, 0, 3);
  __builtin_prefetch(static_cast<const char*>(p) + kFar, 0, 2);
}

// prefetch_first() and prefetch_second() prefetch the cache line at p into the L1 or the L2 cache. They do
// nothing for registers that are much smaller than a cache line.
template <class V>
void prefetch_first(const float* p) {
  if constexpr (V::kLanes >= 4) __builtin_prefetch(p, 0, 3);
}
template <class V>
void prefetch_second(const float* p) {
  if constexpr (V::kLanes >= 4) __builtin_prefetch(p, 0, 2);
}

// Returns a * b + c, fused if the instruction set has such an instruction.
template <class Arch>
Floats<Arch> fma(Floats<Arch> a, Floats<Arch> b, Floats<Arch> c) {
  using V = Floats<Arch>;
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) return V(typename V::Raw(_mm512_fmadd_ps(a.raw, b.raw, c.raw)));
#endif
  if constexpr (V::kScalar) {
    return a * b + c;
  } else {
    return V(xsimd::fma(a.raw, b.raw, c.raw));
  }
}

// max() and min() return b in lanes where a or b is NaN, and where both are zeros. So max(bound, x) keeps a
// NaN in x. NEON's own instructions treat both cases differently.
template <class Arch>
Floats<Arch> max(Floats<Arch> a, Floats<Arch> b) {
#if defined(__aarch64__)
  return if_less(b, a, a, b);
#else
  if constexpr (Floats<Arch>::kScalar) {
    return a.raw > b.raw ? a : b;
  } else {
    return Floats<Arch>(xsimd::max(a.raw, b.raw));
  }
#endif
}

template <class Arch>
Floats<Arch> min(Floats<Arch> a, Floats<Arch> b) {
#if defined(__aarch64__)
  return if_less(a, b, a, b);
#else
  if constexpr (Floats<Arch>::kScalar) {
    return a.raw < b.raw ? a : b;
  } else {
    return Floats<Arch>(xsimd::min(a.raw, b.raw));
  }
#endif
}

template <class Arch>
Floats<Arch> sqrt(Floats<Arch> a) {
#if defined(__aarch64__)
  using V = Floats<Arch>;
  if constexpr (!V::kScalar) return V(typename V::Raw(vsqrtq_f32(a.raw)));
#endif
  if constexpr (Floats<Arch>::kScalar) {
    return Floats<Arch>(__builtin_sqrtf(a.raw));
  } else {
    return Floats<Arch>(xsimd::sqrt(a.raw));
  }
}

// if_less() returns in each lane x if a < b, otherwise y. A lane where a or b is NaN is y.
template <class Arch>
Floats<Arch> if_less(Floats<Arch> a, Floats<Arch> b, Floats<Arch> x, Floats<Arch> y) {
  if constexpr (Floats<Arch>::kScalar) {
    return a.raw < b.raw ? x : y;
  } else {
    return Floats<Arch>(xsimd::select(a.raw < b.raw, x.raw, y.raw));
  }
}

// if_equal() returns in each lane x if a == b, otherwise y. So if_equal(a, a, x, y) is y where a is NaN, and
// x elsewhere.
template <class Arch>
Floats<Arch> if_equal(Floats<Arch> a, Floats<Arch> b, Floats<Arch> x, Floats<Arch> y) {
  if constexpr (Floats<Arch>::kScalar) {
    return a.raw == b.raw ? x : y;
  } else {
    return Floats<Arch>(xsimd::select(a.raw == b.raw, x.raw, y.raw));
  }
}

// to_bits() returns the bits of each lane as an integer; from_bits() is the reverse. ops/simd/math_simd.h
// uses them to read and to set the exponent of a float.
template <class Arch>
typename Floats<Arch>::Int to_bits(Floats<Arch> v) {
  if constexpr (Floats<Arch>::kScalar) {
    return __builtin_bit_cast(std::int32_t, v.raw);
  } else {
    return xsimd::bitwise_cast<typename Floats<Arch>::Int>(v.raw);
  }
}

template <class V>
V from_bits(typename V::Int bits) {
  if constexpr (V::kScalar) {
    return V(__builtin_bit_cast(float, bits));
  } else {
    return V(xsimd::bitwise_cast<typename V::Raw>(bits));
  }
}

// Converts each lane from an integer to a float.
template <class V>
V to_floats(typename V::Int n) {
  if constexpr (V::kScalar) {
    return V(static_cast<float>(n));
  } else {
    return V(xsimd::to_float(n));
  }
}

// Returns x * 2^n for integers n from -125 to 128. If the CPU has no instruction for it, 2x is multiplied by
// 2^(n-1), because 2^128 is too large for a float. After adding 1.5 * 2^23 + 126 to n, the low bits are n +
// 126, the exponent field of 2^(n-1).
template <class Arch>
Floats<Arch> scale_by_power_of_two(Floats<Arch> x, Floats<Arch> n) {
  using V = Floats<Arch>;
#if defined(__AVX512F__)
  if constexpr (V::kLanes == 16) return V(typename V::Raw(_mm512_scalef_ps(x.raw, n.raw)));
#endif
  return (x + x) * from_bits<V>(to_bits(n + V(12583038.0f)) << 23);
}

#if defined(__SSE2__)
// sum_of_four() and greatest_of_four() are the last two steps of sum() and greatest().
template <class Arch>
float sum_of_four(__m128 v) {
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}
template <class Arch>
float greatest_of_four(__m128 v) {
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
}
#endif

// Returns the sum of all lanes of a register: the upper half is added to the lower half until one lane is
// left. The order of the sum depends only on V.
template <class Arch>
float sum(Floats<Arch> v) {
#if defined(__AVX512F__)
  if constexpr (Floats<Arch>::kLanes == 16) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v.raw), _mm512_extractf32x8_ps(v.raw, 1));
    return sum_of_four<Arch>(_mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)));
  }
#endif
#if defined(__AVX2__)
  if constexpr (Floats<Arch>::kLanes == 8) {
    return sum_of_four<Arch>(_mm_add_ps(_mm256_castps256_ps128(v.raw), _mm256_extractf128_ps(v.raw, 1)));
  }
#endif
#if defined(__SSE2__)
  if constexpr (Floats<Arch>::kLanes == 4) return sum_of_four<Arch>(v.raw);
#endif
  alignas(64) float lanes[Floats<Arch>::kLanes];
  store(lanes, v);
  for (std::int64_t half = Floats<Arch>::kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Returns the largest lane of a register. If some lanes are NaN, the result may be NaN or the largest of the
// others.
template <class Arch>
float greatest(Floats<Arch> v) {
#if defined(__AVX512F__)
  if constexpr (Floats<Arch>::kLanes == 16) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v.raw), _mm512_extractf32x8_ps(v.raw, 1));
    return greatest_of_four<Arch>(_mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)));
  }
#endif
#if defined(__AVX2__)
  if constexpr (Floats<Arch>::kLanes == 8) {
    return greatest_of_four<Arch>(_mm_max_ps(_mm256_castps256_ps128(v.raw), _mm256_extractf128_ps(v.raw, 1)));
  }
#endif
#if defined(__SSE2__)
  if constexpr (Floats<Arch>::kLanes == 4) return greatest_of_four<Arch>(v.raw);
#endif
  alignas(64) float lanes[Floats<Arch>::kLanes];
  store(lanes, v);
  for (std::int64_t half = Floats<Arch>::kLanes / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i)
      lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  }
  return lanes[0];
}

}  // namespace inkling::simd
