// sum_i x_i^2, for the norm of all gradients together.
//
// Blocks of 4096 numbers are summed in float registers and the blocks in double: 124 million squares keep six
// digits and more. x is cut into fixed chunks whose sums are added in order, so the bits do not depend on the
// threads. inf or NaN in x gives inf or NaN; so does an |x_i| above 1.8e19, whose square no float holds.
#pragma once

#include <cstdint>

namespace inkling {

double sum_of_squares(const float* x, std::int64_t n);

namespace reference {  // T is float or double

template <class T>
double sum_of_squares(const T* x, std::int64_t n);

}  // namespace reference

}  // namespace inkling
