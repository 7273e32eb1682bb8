#include <cstdint>

#include "nn/checkpoint.h"
#include "nn/generate.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

// Larger models are only read. Generating text with them would take too long.
constexpr std::int64_t kMostParameters = 20'000;

void write_tokens(GPT2& model) {
  GenerateSettings settings;
  settings.max_tokens = 3;
  settings.sampler.temperature = 0.8f;
  settings.sampler.top_k = 3;
  settings.sampler.top_p = 0.9f;
  Rng rng(1, 2);
  const std::int64_t vocab_size = model.config().vocab_size;
  const auto prompt = static_cast<std::int32_t>(vocab_size - 1);
  generate(model, std::span(&prompt, 1), settings, rng, [&](std::int32_t id) {
    require(id >= 0 && id < vocab_size, "generate: every id is inside the vocabulary");
    return true;
  });
}

}  // namespace

void model(Bytes bytes) {
  accepted([&] {
    ByteReader in(bytes, "model.bin");
    GPT2 model = load_model(in);
    if (model.config().parameter_count() <= kMostParameters) write_tokens(model);
  });
}

}  // namespace inkling::fuzz
