// for_lanes: the loop over an array in registers. It handles full registers first, then the rest in a part of
// a register.
//
//   for_lanes<V>(n, [&](std::int64_t i, auto lanes) { lanes.store(y + i, f(lanes.load(x + i))); });
//
// The body of the loop is written once and compiled twice: `lanes` is AllLanes for full registers and
// FirstLanes for the tail of n % W numbers, which reads and writes no memory past the end of an array.
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
  std::int64_t count;  // the number of lanes in use: 1 .. W-1

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

}  // namespace inkling::simd
