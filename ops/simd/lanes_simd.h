// for_lanes: the loop over an array in registers. It handles full registers first, then the rest in a part of
// a register.
//
//   for_lanes<V>(n, [&](std::int64_t i, auto lanes) { lanes.store(y + i, f(lanes.load(x + i))); });
//
// The body of the loop is written once and compiled twice: `lanes` is AllLanes for full registers and
// FirstLanes for the tail of n % W numbers, which reads and writes no memory past the end of an array.
//
// A sum along a row uses for_row and RowSum instead. The order of a sum decides how it is rounded, and it
// must not depend on the width of the registers. So every instruction set adds the numbers of a row in 16
// partial sums: number i is added to partial sum i % 16. At the end the partial sums are added in one order:
// 8 .. 15 to 0 .. 7, then 4 .. 7 to 0 .. 3, and so on. Sixteen partial sums are one register of AVX-512, two
// of AVX2 or four of NEON:
//
//   RowSum<V> total;
//   for_row<V>(n, [&](std::int64_t i, int part, auto lanes) { total[part] += lanes.load(x + i); });
//   const float result = sum(total);
#pragma once

#include "ops/simd/simd.h"

namespace inkling::simd {

template <class V>
struct AllLanes {
  template <class T>  // T is float or bf16; only FirstLanes uses `rest`
  [[gnu::always_inline]] V load(const T* p, float /*rest*/ = 0.0f) const {
    return simd::load<V>(p);
  }
  template <class T>
  [[gnu::always_inline]] void store(T* p, V v) const {
    simd::store(p, v);
  }
  // Returns the numbers at p if `accumulate`. Otherwise returns 0, because the gradient is assigned and not
  // added to.
  template <class T>
  [[gnu::always_inline]] V load_if(bool accumulate, const T* p) const {
    return accumulate ? load(p) : V(0.0f);
  }
};

template <class V>
struct FirstLanes {
  std::int64_t count;  // the number of lanes in use: 0 .. W

  template <class T>  // lanes after the first `count` are set to `rest`
  [[gnu::always_inline]] V load(const T* p, float rest = 0.0f) const {
    return load_n<V>(p, count, rest);
  }
  template <class T>
  [[gnu::always_inline]] void store(T* p, V v) const {
    store_n(p, v, count);
  }
  template <class T>
  [[gnu::always_inline]] V load_if(bool accumulate, const T* p) const {
    return accumulate ? load(p) : V(0.0f);
  }
};

template <class V, class F>
[[gnu::always_inline]] inline void for_lanes(std::int64_t n, F&& f) {
  constexpr std::int64_t W = V::kLanes;
  const std::int64_t tail = n % W, body = n - tail;
  for (std::int64_t i = 0; i < body; i += W) f(i, AllLanes<V>{});
  if (tail != 0) f(body, FirstLanes<V>{tail});
}

// The number of partial sums of a sum along a row.
constexpr std::int64_t kRowLanes = 16;

// The partial sums of a row, in registers. They start at 0.
template <class V>
struct RowSum {
  static constexpr int kParts = static_cast<int>(kRowLanes / V::kLanes);
  V parts[kParts];

  [[gnu::always_inline]] RowSum() {
    for (V& part : parts) part = V(0.0f);
  }
  [[gnu::always_inline]] V& operator[](int part) { return parts[part]; }
  [[gnu::always_inline]] const V& operator[](int part) const { return parts[part]; }
};

// Adds the partial sums of two rows, lane by lane.
template <class V>
[[gnu::always_inline]] inline RowSum<V> operator+(RowSum<V> a, const RowSum<V>& b) {
#pragma GCC unroll 4
  for (int p = 0; p < RowSum<V>::kParts; ++p) a[p] += b[p];
  return a;
}

// Returns the sum of the 16 partial sums.
template <class V>
[[gnu::always_inline]] inline float sum(RowSum<V> row) {
  if constexpr (RowSum<V>::kParts == 2) return sum(row[0] + row[1]);
  if constexpr (RowSum<V>::kParts == 4) return sum((row[0] + row[2]) + (row[1] + row[3]));
  for (int half = RowSum<V>::kParts / 2; half > 0; half /= 2) {
    for (int p = 0; p < half; ++p) row[p] += row[p + half];
  }
  return sum(row[0]);
}

// The loop over a row, 16 numbers at a time: calls f(i, part, lanes) for each register of 16 numbers.
template <class V, class F>
[[gnu::always_inline]] inline void for_row(std::int64_t n, F&& f) {
  constexpr std::int64_t W = V::kLanes;
  constexpr int kParts = RowSum<V>::kParts;
  const std::int64_t tail = n % kRowLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += kRowLanes) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts; ++part) f(i + part * W, part, AllLanes<V>{});
  }
  if (tail == 0) return;
#pragma GCC unroll 4
  for (int part = 0; part < kParts; ++part) {
    const std::int64_t left = tail - part * W;
    if (left > 0) f(body + part * W, part, FirstLanes<V>{left < W ? left : W});
  }
}

}  // namespace inkling::simd
