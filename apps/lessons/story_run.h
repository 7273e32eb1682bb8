// A small GPT that is trained on the stories inside of a lesson: in memory, in seconds, without files.
//
// Every row starts with the beginning of a story. So the exact -log p of each target is known, and their mean
// is the lowest loss that any model can reach on these rows: the minimum over rows (apps/text/stories.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/page/page.h"
#include "core/rng.h"
#include "nn/gpt2.h"
#include "optim/schedule.h"

namespace inkling {

// B rows of T tokens, cut from stories: inputs and targets (B*T), and -log p of each target under the
// grammar.
struct StoryRows {
  std::int64_t B, T;
  std::vector<std::int32_t> ids = {}, targets = {};
  std::vector<float> nats = {};
  double min_over_rows = 0;     // the mean of `nats`
  double min_over_stories = 0;  // the mean of -log p over all tokens of the whole stories

  Tensor id_tensor() { return {ids.data(), {B, T}}; }
  Tensor target_tensor() { return {targets.data(), {B, T}}; }
};

StoryRows story_rows(std::int64_t B, std::int64_t T, Rng& rng);

// Adds the two minima of the rows to a page: the numbers NAME.min_over_rows and NAME.min_over_stories.
void add_minima(page::Page& page, const std::string& name, const StoryRows& rows);

struct StoryRun {
  std::int64_t layers = 2, heads = 2, channels = 64;
  std::int64_t B = 8, T = 64, steps = 200;
  double lr = 4e-3;
  std::uint64_t seed = 42;
  std::int64_t distinct_steps = 0;  // after so many steps, the same stories come again; 0: always new ones
  // What lessons break:
  bool shift_labels = true;  // false: the target of each token is the token itself
  double warm_up = 0.1;      // the share of the steps in which the learning rate grows
  double max_norm = 1;       // a longer gradient is shortened to this length; 0: never
  bool sgd = false;          // true: SGD with momentum 0.9, false: AdamW

  GPT2Config config() const;
  LearningRateSchedule schedule() const;  // warm-up, then a cosine down to a tenth
};

// Trains on stories. After each step it calls `after_step` with the number of the step (from 1), the loss of
// the step's batch before the update, and the model after the update. The model still has the step's
// gradients, as they were before clipping. Throws Diverged.
using AfterStep = std::function<void(std::int64_t step, double loss, GPT2& model)>;
GPT2 train_on_stories(const StoryRun& run, const AfterStep& after_step);
// Trains a model with initialised weights. Its vocabulary begins with the tokens of the stories.
void train_on_stories(GPT2& model, const StoryRun& run, const AfterStep& after_step);

// The mean loss of a model on rows.
double mean_loss(GPT2& model, StoryRows& rows);

// The ids of the beginning of a story: end-of-text, then the text.
std::vector<std::int32_t> story_prompt(std::string_view text);

// The logits (T, V) after each token of a text.
std::vector<std::vector<float>> logits_after_each(GPT2& model, std::vector<std::int32_t> ids);

// The number of tokens before the first one that the grammar of the stories cannot write. If there is none,
// the number of all tokens. The text may end in the middle of a story.
std::int64_t tokens_without_mistake(std::span<const std::int32_t> ids);

// The tokens of a text from index `begin` on, as markup of a page. The first token that the grammar cannot
// write is in brackets.
std::string marked_story(std::span<const std::int32_t> text, std::int64_t begin);

}  // namespace inkling
