// exp, log, tanh, cos and powers that give the same bits on every CPU and with every compiler.
//
// The C library's functions differ from version to version and from CPU to CPU in the last bit. One such bit
// in an initial weight or a learning rate makes two training runs differ. So inkling has its own functions.
// (make check-libm checks that it calls no others.) They use only + - * / on doubles, which IEEE 754 defines
// bit by bit. They do not use a fused multiply-add: without its instruction, std::fma is a slow function.
// Kernels have faster functions for registers of floats (ops/simd/math_simd.h).
//
// The largest errors, in units in the last place (ulp) of the result (tests/core/portable_math_test.cc checks
// the bounds of kMathUlps on millions of numbers):
//   exp 0.83    log 0.87    tanh 2.45    cos_pi 1.63    power 0.4 n
// portable_math.cc explains how each is computed.
#pragma once

#include <cstdint>

namespace inkling::portable {

// Returns e^x: 0 for -inf, inf for x above 709.78. NaN stays NaN.
double exp(double x);

// Returns the natural logarithm: -inf for 0, NaN for negative numbers, inf for inf. NaN stays NaN.
double log(double x);

// Returns tanh x, with the sign of x. NaN stays NaN.
double tanh(double x);

// Returns cos(pi x) for x in [0, 2]. At 0, 1/2, 1, 3/2 and 2 the result is exact.
double cos_pi(double x);

// Returns x^n for n >= 0, by repeated squaring.
double power(double x, std::int64_t n);

// For the references of ops, which exist for float and double.
inline float exp(float x) {
  return static_cast<float>(exp(static_cast<double>(x)));
}
inline float log(float x) {
  return static_cast<float>(log(static_cast<double>(x)));
}
inline float tanh(float x) {
  return static_cast<float>(tanh(static_cast<double>(x)));
}

}  // namespace inkling::portable
