// exp for registers of floats.
//
// exp(x) = 2^n * e^r with n = round(x / ln 2), r = x - n ln 2, so |r| <= ln(2)/2 = 0.3466.
//   - n is found by adding 1.5 * 2^23: at that size a float's last bit is worth 1, so the addition rounds to an integer, which
//     then stands in the low bits of the sum.
//   - ln 2 is subtracted in two parts (Cody & Waite 1980): the first has so few bits that n times it is exact.
//   - e^r by its Taylor polynomial of degree 7; what is left out is at most r^8/8! = 5e-9, a tenth of a float's last place.
//   - 2^n is put together from bits, as 2^(n-1) times 2, because n = 128 has no float.
#pragma once

#include <limits>

#include "ops/simd.h"

namespace inkling::simd {

// e^x. Exactly 0 below -87.3 (no denormals come out) and for -inf, inf above 88.73; NaN stays NaN.
template <class Arch>
Floats<Arch> exp(Floats<Arch> x) {
  using V = Floats<Arch>;
  using Int = typename V::Int;
  const V low(-87.33654f), high(88.72283f);
  const V magic(12582912.0f);  // 1.5 * 2^23
  const V in_range = min(max(x, low), high);
  const V shifted = fma(in_range, V(1.44269504f), magic);
  const V n = shifted - magic;
  const V r = fma(n, V(1.42860677e-6f), fma(n, V(-0.693145752f), in_range));
  V p(1.0f / 5040);
  p = fma(p, r, V(1.0f / 720));
  p = fma(p, r, V(1.0f / 120));
  p = fma(p, r, V(1.0f / 24));
  p = fma(p, r, V(1.0f / 6));
  p = fma(p, r, V(0.5f));
  p = fma(p, r, V(1.0f));
  p = fma(p, r, V(1.0f));
  const V half_scale = from_bits<V>((to_bits(shifted) + Int(126)) << 23);  // 2^(n-1): the low bits of `shifted` are n
  const V y = p * half_scale * V(2.0f);
  const V flushed = if_less(x, low, V(0.0f), if_less(high, x, V(std::numeric_limits<float>::infinity()), y));
  return if_equal(x, x, flushed, x);
}

}  // namespace inkling::simd
