// The norms of each layer: every weight belongs to exactly one part, and the parts make up the whole.
#include "nn/layer_norms.h"

#include "nn/gpt2.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE(
    "layer norms: a number in any tensor of any layer counts in the part that it belongs to, and only "
    "there") {
  GPT2 model({.max_seq_len = 5, .vocab_size = 7, .layers = 3, .heads = 2, .channels = 4});
  const Parameters& parameters = model.parameters();
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const bool stacked = is_stacked(static_cast<GPT2Tensor>(t));
    const std::int64_t size = parameters.table()[t].shape.numel() / (stacked ? 3 : 1);
    for (std::int64_t layer = 0; layer < (stacked ? 3 : 1); ++layer) {
      for (const std::int64_t at : {layer * size, (layer + 1) * size - 1}) {
        float& weight = parameters.values_of(t)[static_cast<std::size_t>(at)];
        weight = -2.5f;
        std::vector<double> want(5, 0.0);
        want[stacked ? static_cast<std::size_t>(1 + layer) : t == kWte || t == kWpe ? 0u : 4u] = 2.5;
        INFO(parameters.table()[t].name << ", layer " << layer);
        CHECK(norms_by_layer(parameters, parameters.values()) == want);
        weight = 0;
      }
    }
  }
}

TEST_CASE("layer norms: the squares of the parts add up to the square of the whole") {
  GPT2 model({.max_seq_len = 9, .vocab_size = 40, .layers = 2, .heads = 2, .channels = 12});
  model.initialise(3);
  const std::span<const float> values = model.parameters().values();
  double want = 0, got = 0;
  for (const float w : values) want += static_cast<double>(w) * static_cast<double>(w);
  for (const double norm : norms_by_layer(model.parameters(), values)) got += norm * norm;
  CHECK(got == approx(want).epsilon(1e-6));  // sums of squares in float
}

}  // namespace
}  // namespace inkling
