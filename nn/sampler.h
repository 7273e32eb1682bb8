// From logits to the next token: repetition penalty, temperature, top-k, top-p, min-p.
//
// The repetition penalty r (Keskar et al. 2019, CTRL) makes the tokens less likely that the text already has:
//   z_i = z_i / r if z_i > 0, else z_i * r      for every token i in the text
// (The paper divides every z_i. With r > 1, this would make a token with a negative logit more likely.)
// Then:
//   p_i = exp(z_i / temperature) / sum_j exp(z_j / temperature)
// A temperature below 1 makes likely tokens still more likely, and a temperature above 1 makes all tokens
// more equal. With temperature 0, the likeliest token is always chosen (greedy). top-k keeps the k likeliest
// tokens (Fan et al. 2018). top-p then keeps the smallest number of the likeliest tokens whose renormalised
// probabilities sum to at least p (the nucleus, Holtzman et al. 2020). min-p then keeps the tokens that are
// at least m times as likely as the likeliest token. At least one token is kept. Then one of the kept tokens
// is drawn. Among equal probabilities the lower id comes first, so a seed gives the same text on every
// machine. In generation this runs as Sampler::candidates and Sampler::sample in nn/sampler.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"

namespace inkling {

struct SamplerSettings {
  float temperature = 1.0f;           // the temperature, 0 or more
  std::int64_t top_k = 0;             // the k of top-k; 0 keeps all tokens
  float top_p = 1.0f;                 // the p of top-p, more than 0 and at most 1; 1 keeps all tokens
  float min_p = 0.0f;                 // the m of min-p, from 0 to 1; 0 keeps all tokens
  float repetition_penalty = 1.0f;    // r, more than 0; 1: no penalty
  std::int32_t never_penalised = -1;  // the penalty leaves out this token; -1: no such token

  void check() const;  // checks the ranges of all settings; the Error names the setting
};

struct Candidate {
  std::int32_t id;
  float probability;
};

class Sampler {
 public:
  explicit Sampler(const SamplerSettings& settings);

  // Returns the tokens that may come next, with their probabilities. `text` has the ids of the text so far,
  // for the repetition penalty. The order of the tokens depends only on the logits and the text. The result
  // is valid until the next call. Error if a logit is NaN.
  std::span<const Candidate> candidates(std::span<const float> logits,
                                        std::span<const std::int32_t> text = {});

  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> text, Rng& rng);
  std::int32_t sample(std::span<const float> logits, Rng& rng) { return sample(logits, {}, rng); }

 private:
  std::span<const float> penalised(std::span<const float> logits, std::span<const std::int32_t> text);
  void softmax(std::span<const float> logits, float best);

  SamplerSettings settings_;
  std::vector<float> penalised_;   // the logits after the repetition penalty
  std::vector<std::int32_t> ids_;  // the token ids that top-k keeps
  std::vector<float> scaled_;      // the logits of ids_ / temperature, later their probabilities
  std::vector<Candidate> candidates_;
};

}  // namespace inkling
