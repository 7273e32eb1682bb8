// What a model predicts at each position of a text: next-token prediction, made visible.
//
//   position t:  input   tokens 0 .. t; of a long text, the tokens of its window up to t
//                target  token t+1
//                p       the probability that the model gives to the target
//                loss    -log p
// The loss of the text is the mean of the losses; its exponential is the perplexity.
//
// In training this runs as GPT2::loss in nn/gpt2.cc, which never stores all logits. This file computes each
// number by its definition, from all logits (T, V). Read next: apps/explain.cc, which prints the result.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/gpt2.h"

namespace inkling {

struct Prediction {
  std::int32_t id;
  double probability;
};

struct ExplainedPosition {
  std::int32_t token;           // the newest token of the input
  Prediction target;            // the next token of the text
  double loss;                  // -log p of the target
  std::vector<Prediction> top;  // the likeliest next tokens; of two equal ones, the lower id first
  std::int64_t context = 0;     // the number of tokens of the input
};

// `ids` has at least 2 and at most maxT + 1 tokens; there is a position for each token but the last. Error if
// the model's logits are not finite numbers.
std::vector<ExplainedPosition> explain(GPT2& model, std::span<const std::int32_t> ids, std::int64_t top);

// The same for any number of tokens, in the windows of eval (apps/text/windows.h): a window has at most T
// inputs, the next one starts `stride` tokens later, and each target is explained once, in the first window
// that has it.
std::vector<ExplainedPosition> explain_in_windows(GPT2& model, std::span<const std::int32_t> ids,
                                                  std::int64_t top, std::int64_t T, std::int64_t stride);

double mean_loss(std::span<const ExplainedPosition> positions);

}  // namespace inkling
