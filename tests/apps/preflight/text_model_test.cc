// suitable_model(): the text limits the model from above, and so does the time of a step.
#include "apps/preflight/text_model.h"

#include "tests/catch.h"

namespace inkling {
namespace {

// The width of the chosen model, where a step takes `seconds` for each million weights of the blocks.
std::int64_t channels(std::int64_t tokens, double seconds, std::int64_t steps = 2000) {
  const PreflightRequest request{.model = {.max_seq_len = 64, .vocab_size = 300}};
  const GPT2Config model = suitable_model(request, tokens, steps, [&](const PreflightRequest& asked) {
    CHECK(asked.model.vocab_size == 300);
    const double weights = 12.0 * static_cast<double>(asked.model.layers * asked.model.channels * asked.model.channels);
    return PrecisionChoice{Precision::f32, "", seconds * weights / 1e6};
  });
  CHECK(model.max_seq_len == 64);
  CHECK(model.channels % model.heads == 0);
  CHECK(model.layers == (model.channels == 128 ? 4 : model.channels <= 256 ? 6 : model.channels == 384 ? 8 : 12));
  return model.channels;
}

TEST_CASE("text model: a model has at most 2.5 weights in its blocks for each token of the text") {
  const double fast = 1e-6;
  // Blocks of L 6, C 192 have 12 * 6 * 192 * 192 = 2,654,208 weights, which is 2.5 * 1,061,683.2.
  CHECK(channels(0, fast) == 128);
  CHECK(channels(1'061'683, fast) == 128);
  CHECK(channels(1'061'684, fast) == 192);
  CHECK(channels(1'887'437, fast) == 256);  // 12 * 6 * 256 * 256 / 2.5 = 1,887,436.8
  CHECK(channels(5'662'311, fast) == 384);
  CHECK(channels(33'973'862, fast) == 384);
  CHECK(channels(33'973'863, fast) == 768);
}

TEST_CASE("text model: the training of the chosen model takes at most ten minutes") {
  const std::int64_t large = 1'000'000'000;
  // 12 * 12 * 768 * 768 = 84.93 million weights: 2,000 steps take 600 s at 0.00353 s for a million.
  CHECK(channels(large, 0.0035) == 768);
  CHECK(channels(large, 0.0036) == 384);
  CHECK(channels(large, 0.0036, 1900) == 768);
  CHECK(channels(large, 0.07) == 192);
  CHECK(channels(large, 1.0) == 128);  // the smallest one is always possible
}

TEST_CASE("text model: nothing is measured where there is no choice") {
  const GPT2Config model = suitable_model({}, 1000, 2000, [](const PreflightRequest&) -> PrecisionChoice {
    FAIL("measured");
    return {};
  });
  CHECK(model.channels == 128);
  CHECK(model.layers == 4);
  CHECK(model.heads == 4);
}

}  // namespace
}  // namespace inkling
