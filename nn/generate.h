// Generation: the model predicts the next token, the sampler picks one, and the model reads it as input.
//
// The model reads the whole prompt in one pass and fills the KV cache. After that, each new token costs one
// pass over the weights. When the context has maxT tokens, the older half of the context is dropped, and the
// model reads the newer half again.
//
// Reading the weights from memory takes most of the time. So up to kTogether texts are generated together:
// one pass over the weights produces the next token of every text. All texts start with the same prompt,
// which the model reads once; each text has its own random numbers. A text has the same tokens as if it were
// generated alone, because the kernels compute the same bits for a row, alone or with other rows
// (ops/gemm/gemm.h). A text that has ended leaves the group.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/rng.h"
#include "nn/gpt2.h"
#include "nn/sampler.h"
#include "ops/gemm/gemm.h"

namespace inkling {

struct GenerateSettings {
  std::int64_t max_tokens = 128;  // the maximum number of tokens of each text
  std::int32_t stop_token = -1;   // a text ends when this token is drawn; -1: no such token
  SamplerSettings sampler = {};
  bool log_probabilities = false;  // true: compute NewToken::log_probability
};

// A token that was drawn for the text with the index `text`.
struct NewToken {
  std::int64_t text;
  std::int32_t id;
  // log p of the token after the text so far, as the model predicts it: the softmax of all logits, before the
  // repetition penalty, temperature, top-k, top-p and min-p. 0 unless the settings ask for it.
  double log_probability;
};

constexpr std::int64_t kTogether = kGemvRows;

// Continues `prompt` (at least one id) once for each Rng, up to kTogether texts at a time. Calls `on_token`
// with each new token as soon as it is drawn; if `on_token` returns false, its text ends. The stop token
// itself is not passed to `on_token`. Returns the number of tokens passed to `on_token`. Error for an id
// outside the vocabulary, an empty prompt, or logits that are not finite.
std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      std::span<Rng> rngs, const std::function<bool(const NewToken&)>& on_token);

// Like generate() above, for an `on_token` that needs only the text's index and the id.
std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      std::span<Rng> rngs,
                      const std::function<bool(std::int64_t text, std::int32_t id)>& on_token);

// Continues `prompt` once, with one Rng.
std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      Rng& rng, const std::function<bool(std::int32_t id)>& on_token);

}  // namespace inkling
