// The perplexity: the number of equally likely tokens that would give the same loss.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace inkling {

// exp(loss), where `loss` is in nats per token. JSON has no infinity, so the result is at most the largest
// double.
inline double perplexity(double loss) {
  return std::min(std::exp(loss), std::numeric_limits<double>::max());
}

}  // namespace inkling
