// Models at sizes just below and just above the thresholds where reading, writing or generating takes another
// path.
#include <algorithm>
#include <cstring>

#include "nn/checkpoint.h"
#include "nn/generate.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A checkpoint is read and written in chunks of 2^20 weights.
TEST_CASE("sizes: a model of two chunks of weights and a rest is saved and read back in both dtypes") {
  const GPT2Config config{.max_seq_len = 9, .vocab_size = 200, .layers = 3, .heads = 2, .channels = 250};
  GPT2 model(config);
  const std::span<float> weights = model.parameters().values();
  REQUIRE(std::ssize(weights) > 2 << 20);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.25f + static_cast<float>(i) * 0x1p-23f;
  const TemporaryDirectory directory;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const std::string path = directory / name(dtype);
    save_model(path, config, weights, dtype);
    GPT2 read = load_model(path);
    REQUIRE(read.parameters().values().size() == weights.size());
    bool same = true;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float want = dtype == DType::f32 ? weights[i] : to_float(to_bf16(weights[i]));
      same = same && read.parameters().values()[i] == want;
    }
    CHECK(same);
  }
}

// A model with random weights hardly ever generates the same text twice. So the texts of different seeds
// differ, and the test notices if a text uses the wrong random numbers.
TEST_CASE("sizes: 15 to 17 texts and 33 generated together equal the texts generated alone") {
  GPT2 model({.max_seq_len = 8, .vocab_size = 97, .layers = 1, .heads = 1, .channels = 16});
  model.initialise(1);
  const std::vector<std::int32_t> prompt{3, 5};
  const GenerateSettings settings{.max_tokens = 5, .stop_token = -1, .sampler = {}};
  const auto alone = [&](std::uint64_t seed) {
    std::vector<std::int32_t> text;
    Rng rng(seed);
    generate(model, prompt, settings, rng, [&](std::int32_t id) {
      text.push_back(id);
      return true;
    });
    return text;
  };
  std::vector<std::vector<std::int32_t>> want;
  for (std::uint64_t seed = 0; seed < 33; ++seed) want.push_back(alone(seed));
  for (const std::size_t count : {15u, 16u, 17u, 33u}) {
    INFO(count << " texts");
    std::vector<Rng> rngs;
    for (std::uint64_t seed = 0; seed < count; ++seed) rngs.emplace_back(seed);
    std::vector<std::vector<std::int32_t>> texts(count);
    const std::int64_t made =
        generate(model, prompt, settings, rngs, [&](std::int64_t text, std::int32_t id) {
          texts.at(static_cast<std::size_t>(text)).push_back(id);
          return true;
        });
    CHECK(made == static_cast<std::int64_t>(5 * count));
    for (std::size_t i = 0; i < count; ++i) CHECK(texts[i] == want[i]);
  }
  std::sort(want.begin(), want.end());
  CHECK(std::unique(want.begin(), want.end()) == want.end());
}

}  // namespace
}  // namespace inkling
