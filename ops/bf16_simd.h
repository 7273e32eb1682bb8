// Arrays of floats to bf16 and back. core/bf16.h says what a bf16 is, and converts one at a time.
#pragma once

#include "ops/simd.h"

namespace inkling::simd {

// y and x (n), of types float and bf16 or the other way round
template <class V, class To, class From>
void convert(To* y, const From* x, std::int64_t n) noexcept {
  const std::int64_t tail = n % V::kLanes, body = n - tail;
  for (std::int64_t i = 0; i < body; i += V::kLanes) store(y + i, load<V>(x + i));
  if (tail != 0) store_n(y + body, load_n<V>(x + body, tail), tail);
}

}  // namespace inkling::simd
