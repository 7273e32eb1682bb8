// The micro-kernel of ops/gemm/gemm_bf16.h for CPUs without instructions for bf16, and the last pass over
// finished sums for all CPUs.
//
// A pair becomes two floats: the upper half is a float after the lower half is cleared, the lower half after
// it is shifted up. So a register of 16 pairs of B becomes two registers of floats, for two fused
// multiply-adds: the odd product first, then the even one, with denormals as zeros. This gives the same bits
// as the instruction vdpbf16ps of AVX512-BF16 (ops/gemm/gemm_bf16_dot_simd.h).
#pragma once

#include "ops/gemm/gemm_bf16_pack_simd.h"
#include "ops/kernels.h"
#include "ops/simd/simd.h"

namespace inkling::simd {

// odd_of_pairs gives the second number of each pair of a register as floats, even_of_pairs the first number.
template <class V>
V odd_of_pairs(typename V::Int pairs) {
  return from_bits<V>(pairs & typename V::Int(static_cast<std::int32_t>(0xffff0000u)));
}
template <class V>
V even_of_pairs(typename V::Int pairs) {
  return from_bits<V>(pairs << 16);
}

// R rows and NV registers of columns of C, inside one tile of A and one tile of B.
template <class V, int R, int NV>
void widened_block(float* C, const bf16* a, const bf16* b, std::int64_t steps, bool accumulate) {
  constexpr std::int64_t W = V::kLanes;
  V sums[R][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < NV; ++j) sums[r][j] = accumulate ? load<V>(C + r * kPanelColumns + j * W) : V(0.0f);
  }
  for (std::int64_t s = 0; s < steps; ++s, a += kTile, b += kPanelStep) {
    for (std::int64_t pair = 0; pair < kTileLanes; ++pair) {
      V even[NV], odd[NV];
#pragma GCC unroll 16
      for (int j = 0; j < NV; ++j) {
        const auto pairs = to_bits(load<V>(reinterpret_cast<const float*>(b) + pair * kTileLanes + j * W));
        even[j] = even_of_pairs<V>(pairs);
        odd[j] = odd_of_pairs<V>(pairs);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const bf16* a_r = a + (r * kTileLanes + pair) * 2;
        const V a_even(widened(a_r[0])), a_odd(widened(a_r[1]));
#pragma GCC unroll 16
        for (int j = 0; j < NV; ++j) sums[r][j] = fma(a_even, even[j], fma(a_odd, odd[j], sums[r][j]));
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < NV; ++j) store(C + r * kPanelColumns + j * W, sums[r][j]);
  }
}

// C (16 tiles_a, 48) = or += A (16 tiles_a, 32 steps) times a panel of B. The tiles of the next 16 rows of A
// begin a_stride elements after the tiles of the current 16 rows.
template <class V>
void multiply_widened(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                      std::int64_t steps, bool accumulate) noexcept {
  constexpr int R = V::kLanes == 16 ? 8 : 4;
  constexpr int NV = V::kLanes >= 8 ? static_cast<int>(kTileLanes / V::kLanes) : 2;
  const DenormalsAreZero<V> as_in_the_instructions;
  for (std::int64_t i = 0; i < tiles_a; ++i, a += a_stride, C += kTileLanes * kPanelColumns) {
    for (std::int64_t j = 0; j < kPanelTiles; ++j) {
      for (std::int64_t column = 0; column < kTileLanes; column += NV * V::kLanes) {
        for (std::int64_t r = 0; r < kTileLanes; r += R) {
          widened_block<V, R, NV>(C + r * kPanelColumns + j * kTileLanes + column, a + r * kTileLanes * 2,
                                  b + j * kTile + column * 2, steps, accumulate);
        }
      }
    }
  }
}

// Stores a finished register, with kStream past the caches.
template <class V, bool kStream, class T>
[[gnu::always_inline]] inline void store_finished(T* out, V sum) {
  store(out, sum);
}
#if defined(__AVX512F__)
template <class V, bool kStream>
[[gnu::always_inline]] inline void store_finished(float* out, V sum) requires(kStream) {
  _mm512_stream_ps(out, sum.raw);
}
#endif

// Finishes the columns of whole panels. With kStream, writes past the caches, in the order of memory.
template <class V, class T, bool kBias, bool kAddend, bool kStream>
void finish_panels(const MatrixOut<T>& C, Panels<float> sums, std::int64_t rows, std::int64_t panels) {
  constexpr std::int64_t W = V::kLanes, N = kPanelColumns / W;
  const float* bias = C.bias;
  const T* addend = C.addend;
  T* out = C.data;
  const std::int64_t ld = C.ld;
  for (std::int64_t r = 0; r < rows; ++r, out += ld, sums.data += kPanelColumns) {
    for (std::int64_t p = 0; p < panels; ++p) {
#pragma GCC unroll 3
      for (std::int64_t j = 0; j < N; ++j) {
        const std::int64_t column = p * kPanelColumns + j * W;
        V sum = load<V>(sums.data + p * sums.stride + j * W);
        if constexpr (kBias) sum += load<V>(bias + column);
        if constexpr (kAddend) sum += load<V>(addend + r * ld + column);
        store_finished<V, kStream>(out + column, sum);
      }
    }
  }
}

// Finishes the columns of a part of a panel.
template <class V, class T>
void finish_part(const MatrixOut<T> C, const float* sums, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t r = 0; r < rows; ++r, sums += kPanelColumns) {
    for (std::int64_t j = 0; j < columns; j += W) {
      const std::int64_t n = columns - j, at = r * C.ld + j;
      V sum = load<V>(sums + j);
      if (V::kScalar || n >= W) {  // a register of one number is always complete
        if (C.bias != nullptr) sum += load<V>(C.bias + j);
        if (C.addend != nullptr) sum += load<V>(C.addend + at);
        store(C.data + at, sum);
      } else {
        if (C.bias != nullptr) sum += load_n<V>(C.bias + j, n);
        if (C.addend != nullptr) sum += load_n<V>(C.addend + at, n);
        store_n(C.data + at, sum, n);
      }
    }
  }
}

// The last pass: C (rows, columns) = sums [columns/48](rows, 48) (+ bias) (+ addend). If C is streamed, a
// fence must follow before another thread reads it.
template <class V, class T>
void finish_sums(const MatrixOut<T>& C, Panels<float> sums, std::int64_t rows,
                 std::int64_t columns) noexcept {
  constexpr bool kCanStream = V::kLanes == 16 && std::is_same_v<T, float>;
  const std::int64_t panels = columns / kPanelColumns, done = panels * kPanelColumns;
  const bool whole_lines = reinterpret_cast<std::uintptr_t>(C.data) % 64 == 0 && C.ld % V::kLanes == 0;
  const bool adds = C.addend != nullptr;
  const auto finish = [&]<bool kBias, bool kAddend, bool kStream>() {
    finish_panels<V, T, kBias, kAddend, kStream>(C, sums, rows, panels);
  };
  if (C.bias != nullptr) {
    adds ? finish.template operator()<true, true, false>() : finish.template operator()<true, false, false>();
  } else if (kCanStream && C.stream && whole_lines) {
    adds ? finish.template operator()<false, true, kCanStream>()
         : finish.template operator()<false, false, kCanStream>();
  } else {
    adds ? finish.template operator()<false, true, false>()
         : finish.template operator()<false, false, false>();
  }
  if (done == columns) return;
  finish_part<V, T>(C.from(0, done), sums.data + panels * sums.stride, rows, columns - done);
}

}  // namespace inkling::simd
