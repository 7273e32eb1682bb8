// Generation: the model's own predictions, fed back to it one token at a time.
//
// The prompt is read in one pass, filling the KV cache; after that each token costs one pass over the
// weights. When the context is full, the older half is forgotten and the newer half read again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/rng.h"
#include "nn/gpt2.h"
#include "nn/sampler.h"

namespace inkling {

struct GenerateSettings {
  std::int64_t max_tokens = 128;
  std::int32_t stop_token = -1;  // generation ends when it is drawn; -1: never
  SamplerSettings sampler;
};

// Continues `prompt` (at least one id). `on_token` gets every new id as it is drawn; returning false ends it.
// The stop token is not handed out. Returns how many tokens were drawn and handed out. Error for an id
// outside the vocabulary or an empty prompt.
std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      Rng& rng, const std::function<bool(std::int32_t)>& on_token);

}  // namespace inkling
