// The parts of lesson 6 that are in files of their own, and what they share.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "apps/lessons/lessons.h"
#include "apps/run/training_step.h"
#include "nn/gpt2.h"

namespace inkling {

struct LoopSettings {
  double lr = 0.1;
  std::int64_t iterations = 100;
  bool reset_gradients = true;  // false: gradients of all iterations add up (--break=no-zero-grad)
};

// The training loop in its plainest form: gradient descent on one batch, again and again. Calls `look` with
// the number of iterations done: 0, 1, ... (training_loop.cc).
void run_loop(GPT2& model, const MicroBatch& batch, const LoopSettings& loop,
              const std::function<void(std::int64_t done)>& look);

// P[t][w]: the probability of word w of the documents' vocabulary after the words ids[0 .. t].
using WordProbabilities = std::vector<std::vector<double>>;
WordProbabilities word_probabilities(GPT2& model, std::span<const std::int32_t> ids);

// The documents' sentence, from random weights: their simulated table beside real numbers (sentence_run.cc).
void learn_the_sentence(page::Page& page, const LessonSettings& settings);

// Which words are learned first, and why (first_words.cc).
void which_words_first(page::Page& page, const LessonSettings& settings);

// A GPT learns stories: its curve above the minimum over rows, and what it writes on the way
// (story_gpt.cc).
void learn_stories(page::Page& page, const LessonSettings& settings);

// What warm-up and clipping are for (guards.cc).
void warm_up(page::Page& page, const LessonSettings& settings);
void clipping(page::Page& page, const LessonSettings& settings);

constexpr const char* kJourneyProgress = "Step-by-step journey, training progress";

}  // namespace inkling
