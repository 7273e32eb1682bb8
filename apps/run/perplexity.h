// The perplexity: the number of equally likely tokens that would give the same loss.
#pragma once

#include <algorithm>
#include <limits>

#include "core/portable_math.h"

namespace inkling {

// exp(loss), where `loss` is in nats per token. JSON has no infinity, so the result is at most the largest
// double.
inline double perplexity(double loss) {
  return std::min(portable::exp(loss), std::numeric_limits<double>::max());
}

}  // namespace inkling
