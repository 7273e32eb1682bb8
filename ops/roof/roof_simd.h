// The loops that measure the peak speed of this machine; see ops/roof/roof.h.
#pragma once

#include "ops/roof/roof.h"
#include "ops/simd/simd.h"

namespace inkling::simd {

// Runs `iterations` times kFmaChains fused multiply-adds on registers. Returns the number of floating-point
// operations. The result is written to *sink, so that the compiler cannot remove the loop.
template <class V>
std::int64_t fma_loop(float* sink, std::int64_t iterations) noexcept {
  V sums[kFmaChains];
  for (std::int64_t i = 0; i < kFmaChains; ++i) sums[i] = V(static_cast<float>(i));
  const V a(*sink), b(1e-9f);
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (std::int64_t chain = 0; chain < kFmaChains; ++chain) sums[chain] = fma(sums[chain], a, b);
  }
  for (std::int64_t i = 1; i < kFmaChains; ++i) sums[0] += sums[i];
  *sink = sum(sums[0]);
  return iterations * kFmaChains * V::kLanes * 2;
}

template <class V>  // computes a = b + s * c
void triad(float* a, const float* b, const float* c, float s, std::int64_t n) noexcept {
  std::int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) store(a + i, fma(V(s), load<V>(c + i), load<V>(b + i)));
  if (i < n) store_n(a + i, fma(V(s), load_n<V>(c + i, n - i), load_n<V>(b + i, n - i)), n - i);
}

template <class V>  // returns the sum of n floats, to measure the speed of reading
float read_all(const float* a, std::int64_t n) noexcept {
  V s0(0.0f), s1(0.0f), s2(0.0f), s3(0.0f);
  std::int64_t i = 0;
  for (; i + 4 * V::kLanes <= n; i += 4 * V::kLanes) {
    s0 += load<V>(a + i);
    s1 += load<V>(a + i + V::kLanes);
    s2 += load<V>(a + i + 2 * V::kLanes);
    s3 += load<V>(a + i + 3 * V::kLanes);
  }
  for (; i < n; ++i) s0 += load_n<V>(a + i, 1);
  return sum((s0 + s1) + (s2 + s3));
}

}  // namespace inkling::simd
