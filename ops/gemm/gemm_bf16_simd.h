// The micro-kernel of ops/gemm/gemm_bf16.h for CPUs without instructions for bf16, and the last pass over
// finished sums for all CPUs.
//
// A pair becomes two floats: the upper half is a float after the lower half is cleared, the lower half after
// it is shifted up. So a register of 16 pairs of B becomes two registers of floats, for two fused
// multiply-adds.
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
        for (int j = 0; j < NV; ++j) sums[r][j] = fma(a_odd, odd[j], fma(a_even, even[j], sums[r][j]));
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < NV; ++j) store(C + r * kPanelColumns + j * W, sums[r][j]);
  }
}

// C (16 tiles_a, 48) = or += A (16 tiles_a, 32 steps) times a panel of B. a_stride is the number of elements
// from the tiles of 16 lanes of A to those of the next 16 lanes.
template <class V>
void multiply_widened(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                      std::int64_t steps, bool accumulate) noexcept {
  constexpr int R = V::kLanes == 16 ? 8 : 4;
  constexpr int NV = V::kLanes >= 8 ? static_cast<int>(kTileLanes / V::kLanes) : 2;
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

// Finishes the columns of whole panels. With kStream, writes past the caches, in the order of memory.
template <class V, class T, bool kBias, bool kAddend, bool kStream>
void finish_panels(T* out, std::int64_t ld, const float* sums, std::int64_t panel_stride, std::int64_t rows,
                   std::int64_t panels, const float* bias, const T* addend) {
  constexpr std::int64_t W = V::kLanes, N = kPanelColumns / W;
  for (std::int64_t r = 0; r < rows; ++r, out += ld, sums += kPanelColumns) {
    for (std::int64_t p = 0; p < panels; ++p) {
#pragma GCC unroll 3
      for (std::int64_t j = 0; j < N; ++j) {
        const std::int64_t column = p * kPanelColumns + j * W;
        V sum = load<V>(sums + p * panel_stride + j * W);
        if constexpr (kBias) sum += load<V>(bias + column);
        if constexpr (kAddend) sum += load<V>(addend + r * ld + column);
#if defined(__AVX512F__)
        if constexpr (kStream) {
          _mm512_stream_ps(out + column, sum.raw);
          continue;
        }
#endif
        store(out + column, sum);
      }
    }
  }
}

// Finishes the columns of a part of a panel.
template <class V, class T>
void finish_part(T* out, std::int64_t ld, const float* sums, std::int64_t rows, std::int64_t columns,
                 const float* bias, const T* addend) {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t r = 0; r < rows; ++r, out += ld, sums += kPanelColumns) {
    for (std::int64_t j = 0; j < columns; j += W) {
      const std::int64_t n = columns - j;
      V sum = load<V>(sums + j);
      if (V::kScalar || n >= W) {  // a register of one number is always complete
        if (bias != nullptr) sum += load<V>(bias + j);
        if (addend != nullptr) sum += load<V>(addend + r * ld + j);
        store(out + j, sum);
      } else {
        if (bias != nullptr) sum += load_n<V>(bias + j, n);
        if (addend != nullptr) sum += load_n<V>(addend + r * ld + j, n);
        store_n(out + j, sum, n);
      }
    }
  }
}

// The last pass: out (rows, columns) = sums [columns/48](rows, 48) (+ bias) (+ addend). With `stream`, it
// writes past the caches; then a fence must follow before another thread reads `out`.
template <class V, class T>
void finish_sums(T* out, std::int64_t ld, const float* sums, std::int64_t panel_stride, std::int64_t rows,
                 std::int64_t columns, const float* bias, const T* addend, bool stream) noexcept {
  constexpr bool kCanStream = V::kLanes == 16 && std::is_same_v<T, float>;
  const std::int64_t panels = columns / kPanelColumns, done = panels * kPanelColumns;
  const bool whole_lines = reinterpret_cast<std::uintptr_t>(out) % 64 == 0 && ld % V::kLanes == 0;
  const auto finish = [&]<bool kBias, bool kAddend, bool kStream>() {
    finish_panels<V, T, kBias, kAddend, kStream>(out, ld, sums, panel_stride, rows, panels, bias, addend);
  };
  if (bias != nullptr) {
    addend != nullptr ? finish.template operator()<true, true, false>()
                      : finish.template operator()<true, false, false>();
  } else if (kCanStream && stream && whole_lines) {
    addend != nullptr ? finish.template operator()<false, true, kCanStream>()
                      : finish.template operator()<false, false, kCanStream>();
  } else {
    addend != nullptr ? finish.template operator()<false, true, false>()
                      : finish.template operator()<false, false, false>();
  }
  if (done == columns) return;
  finish_part<V, T>(out + done, ld, sums + panels * panel_stride, rows, columns - done,
                    bias == nullptr ? nullptr : bias + done, addend == nullptr ? nullptr : addend + done);
}

}  // namespace inkling::simd
