// Generation: the model's own predictions, fed back to it one token at a time.
//
// The prompt is read in one pass, filling the KV cache; after that each token costs one pass over the
// weights. When the context is full, the older half is forgotten and the newer half read again.
//
// Reading the weights is what takes time, so several texts are written together: a pass makes a token of
// each. They begin with the same prompt, which is read once, and differ by their random numbers. A text is
// the same as if it were written alone: of at most kTogether texts, each is computed with the same bits
// (ops/gemm.h). One that has ended takes no part any more.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/rng.h"
#include "nn/gpt2.h"
#include "nn/sampler.h"
#include "ops/gemm.h"

namespace inkling {

struct GenerateSettings {
  std::int64_t max_tokens = 128;  // of each text
  std::int32_t stop_token = -1;   // a text ends when it is drawn; -1: never
  SamplerSettings sampler;
};

constexpr std::int64_t kTogether = kGemvRows;

// Continues `prompt` (at least one id) once for each Rng, kTogether of them at a time. `on_token` gets every
// new id as it is drawn, and which text it belongs to; returning false ends that text. The stop token is not
// handed out. Returns how many tokens were handed out. Error for an id outside the vocabulary or an empty
// prompt.
std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      std::span<Rng> rngs,
                      const std::function<bool(std::int64_t text, std::int32_t id)>& on_token);

// The same for one text.
std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      Rng& rng, const std::function<bool(std::int32_t id)>& on_token);

}  // namespace inkling
