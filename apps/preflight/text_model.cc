#include "apps/preflight/text_model.h"

#include <iterator>

namespace inkling {

namespace {

constexpr double kWeightsForToken = 2.5;
constexpr double kMostSeconds = 600;

struct Size {
  std::int64_t layers, heads, channels;

  // The weights of the matrices in the blocks.
  std::int64_t weights() const { return 12 * layers * channels * channels; }
};
constexpr Size kSizes[] = {{4, 4, 128}, {6, 6, 192}, {6, 8, 256}, {8, 6, 384}, {12, 12, 768}};

}  // namespace

GPT2Config suitable_model(const PreflightRequest& request, std::int64_t text_tokens, std::int64_t steps,
                          const std::function<PrecisionChoice(const PreflightRequest&)>& choose) {
  const double most_weights = kWeightsForToken * static_cast<double>(text_tokens);
  PreflightRequest sized = request;
  const auto set = [&](const Size& size) {
    sized.model.layers = size.layers, sized.model.heads = size.heads, sized.model.channels = size.channels;
  };
  for (auto size = std::rbegin(kSizes); size != std::rend(kSizes) - 1; ++size) {
    if (static_cast<double>(size->weights()) > most_weights) continue;
    set(*size);
    if (choose(sized).seconds * static_cast<double>(steps) <= kMostSeconds) return sized.model;
  }
  set(kSizes[0]);
  return sized.model;
}

}  // namespace inkling
