// exp, tanh and log for registers of floats, and how they are computed.
//
// The largest errors, in units in the last place (ulp), of the result for every 1021st float, compared with
// double (tests/ops/math_simd_test.cc checks that they are at most kMathUlps):
//           scalar, sse2   neon, avx2, avx512 (these have a fused multiply-add)
//   exp     1.13           0.87
//   tanh    2.97           2.97
//   log     0.90           0.90
//
// exp(x) = 2^n * e^r with n = round(x / ln 2), r = x - n ln 2, so |r| <= ln(2)/2 = 0.3466.
//   - n is computed by adding 1.5 * 2^23: the last bit of a float of this size is worth 1, so the sum is
//     rounded to an integer.
//   - ln 2 is subtracted in two parts (Cody & Waite 1980): the first part has so few bits that n times this
//     part is exact.
//   - e^r = 1 + r (1 + r P(r)) with P of degree 4, minimax for the relative error of e^r - 1: 1.4e-8.
// tanh(x) = t / (t + 2), t = e^(2x) - 1. This is (e^x - e^-x) / (e^x + e^-x) with numerator and denominator
// multiplied by e^x.
//   - t = 2^n (e^r - 1) - (1 - 2^n), so no digits are lost: for small x, n = 0 and t = r (1 + r P(r)).
// log(x) = e ln 2 + log(1 + f), x = 2^e (1 + f), 1 + f from sqrt(1/2) to sqrt(2).
//   - log(1 + f) = f - f^2/2 + f^3 Q(f) with Q of degree 7, minimax for the relative error: 2.0e-8.
//   - e ln 2 is added in the same two parts, the smaller part first.
// ops/simd/minimax.py computes P and Q.
#pragma once

#include <limits>

#include "ops/simd/simd.h"

namespace inkling::simd {

template <class V>
struct Ln2 {  // ln 2 = kHigh + kLow; kHigh has 15 bits, so that e * kHigh is exact for |e| < 512
  static constexpr float kHigh = 0.693145752f;
  static constexpr float kLow = 1.42860677e-6f;
};

template <class V>
struct ReducedExp {
  V n;  // round(x / ln 2), an integer
  V r;  // x - n ln 2
  V q;  // (e^r - 1) / r
};

template <class Arch>
ReducedExp<Floats<Arch>> reduce_exp(Floats<Arch> x) {
  using V = Floats<Arch>;
  const V magic(12582912.0f);  // 1.5 * 2^23
  const V n = fma(x, V(1.44269504f), magic) - magic;
  const V r = fma(n, V(-Ln2<V>::kLow), fma(n, V(-Ln2<V>::kHigh), x));
  V p(0.00138378621f);
  p = fma(p, r, V(0.00836708769f));
  p = fma(p, r, V(0.0416677482f));
  p = fma(p, r, V(0.16666539f));
  p = fma(p, r, V(0.49999997f));
  return {n, r, fma(p, r, V(1.0f))};
}

// Returns e^x. The result is 0 for x below -86.9 (so there are no denormals) and for -inf, and inf for x
// above 88.73; NaN stays NaN.
template <class Arch>
Floats<Arch> exp(Floats<Arch> x) {
  using V = Floats<Arch>;
  // At 89 the result is inf already. For x = -inf, scale_by_power_of_two() gives a wrong number, and
  // if_less() replaces it by 0.
  const auto [n, r, q] = reduce_exp(min(V(89.0f), x));
  return if_less(x, V(-86.9f), V(0.0f), scale_by_power_of_two(fma(q, r, V(1.0f)), n));
}

// Returns tanh x, with the sign of x; NaN stays NaN.
template <class Arch>
Floats<Arch> tanh(Floats<Arch> x) {
  using V = Floats<Arch>;
  const V in_range = max(V(-10.0f), min(V(10.0f), x));  // tanh(9.02) rounds to 1
  const auto [n, r, q] = reduce_exp(in_range + in_range);
  const V power = scale_by_power_of_two(V(1.0f), n);
  const V t = power * (q * r) - (V(1.0f) - power);
  return t / (t + V(2.0f));
}

// Returns the natural logarithm of x, also for denormals. The result is -inf for 0 and -0, NaN for negative
// numbers, and inf for inf; NaN stays NaN.
template <class Arch>
Floats<Arch> log(Floats<Arch> x) {
  using V = Floats<Arch>;
  using Int = typename V::Int;
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  const V zero(0.0f), smallest_normal(1.17549435e-38f);
  const V positive = if_less(zero, x, x, V(1.0f));
  const V normal = if_less(positive, smallest_normal, positive * V(8388608.0f), positive);  // times 2^23
  const V shift = if_less(positive, smallest_normal, V(-23.0f), zero);
  // After the bits of sqrt(1/2) are subtracted, the exponent field changes at sqrt(2) times a power of two.
  const Int from_sqrt_half = to_bits(normal) - Int(0x3f3504f3);
  const V f = from_bits<V>((from_sqrt_half & Int(0x7fffff)) + Int(0x3f3504f3)) - V(1.0f);
  const V e = from_bits<V>((from_sqrt_half >> 23) + Int(0x4b400000)) - V(12582912.0f) + shift;
  V p(-0.0769263431f);
  p = fma(p, f, V(0.127936468f));
  p = fma(p, f, V(-0.131622717f));
  p = fma(p, f, V(0.142009258f));
  p = fma(p, f, V(-0.16623196f));
  p = fma(p, f, V(0.20001255f));
  p = fma(p, f, V(-0.250008225f));
  p = fma(p, f, V(0.333333313f));
  const V f2 = f * f;
  const V small = fma(V(-0.5f), f2, fma(f2 * f, p, e * V(Ln2<V>::kLow)));
  const V y = fma(e, V(Ln2<V>::kHigh), f + small);
  return if_less(zero, x, if_less(x, V(kInf), y, V(kInf)), if_equal(x, zero, V(-kInf), V(kNan)));
}

}  // namespace inkling::simd
