// The sum of squares, sum_i x_i^2, for the global norm of the gradients.
//
// Blocks of 4096 numbers are summed in float registers, and the sums of the blocks are added in double. The
// sum of 124 million squares is accurate to more than six digits. x is cut into fixed chunks whose sums are
// added in order, so the result does not depend on the number of threads. If x contains inf or NaN, the
// result is inf or NaN. An |x_i| above 1.8e19 gives inf, because its square is too large for a float.
//
// In training, the sum runs as sum_of_squares in ops/update/sum_of_squares_simd.h.
#pragma once

#include <cstdint>

namespace inkling {

double sum_of_squares(const float* x, std::int64_t n);

namespace reference {  // T is float or double

template <class T>
double sum_of_squares(const T* x, std::int64_t n);

}  // namespace reference

}  // namespace inkling
