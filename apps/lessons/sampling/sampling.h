// The parts of lesson 7 that are in files of their own, and what they share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/lessons/lessons.h"
#include "nn/gpt2.h"
#include "nn/sampler.h"

namespace inkling {

// A trained model, a prompt, and what the model expects after it.
struct NextToken {
  GPT2& model;
  std::vector<std::int32_t> prompt;
  std::vector<float> logits;            // the score of each token after the prompt
  std::vector<std::int32_t> likeliest;  // all ids, the likeliest first
  std::vector<bool> possible;           // by id: whether the grammar of the stories can write it here
};

// The probability of each id under a sampler's settings: 0 for a token that it cuts off.
std::vector<double> shares(const std::vector<float>& logits, const SamplerSettings& settings);

// Drawing tokens, and continuing the prompt at several settings (sampled_texts.cc).
void draws(page::Page& page, const NextToken& next, const LessonSettings& settings);
void continuations(page::Page& page, const NextToken& next, const LessonSettings& settings);
void quality_and_variety(page::Page& page, const NextToken& next, const LessonSettings& settings);

constexpr const char* kSamplerEngine = "candidates in nn/sampler.cc";

}  // namespace inkling
