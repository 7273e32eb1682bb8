// Lesson 3: two masks. One says what a token may see, the other what a model learns from.
#include "apps/lessons/masks/masks.h"

#include <cmath>
#include <string>

#include "apps/lessons/masks/masked_gpt.h"
#include "core/error.h"
#include "core/tape.h"
#include "ops/softmax.h"

namespace inkling {

using namespace page;

namespace {

const std::vector<std::string> kWords = {"The", "cat", "sat", "on", "the", "mat"};

// The number of tokens that the token at position t (from 0) may see.
std::int64_t visible(const std::vector<float>& mask, std::int64_t T, std::int64_t t) {
  std::int64_t count = 0;
  for (std::int64_t k = 0; k < T; ++k) count += mask[static_cast<std::size_t>(t * T + k)] == 0.0f ? 1 : 0;
  return count;
}

std::int64_t allowed_pairs(const std::vector<float>& mask, std::int64_t T) {
  std::int64_t count = 0;
  for (std::int64_t t = 0; t < T; ++t) count += visible(mask, T, t);
  return count;
}

void causal_mask(Page& page) {
  page.heading("The causal mask");
  page.paragraph(
      "A GPT reads a whole row at once, and predicts the next token at every position. So the answers stand "
      "in the row, one place to the right. The *causal mask* hides them: a token sees itself and the tokens "
      "before it, and nothing after it.");
  const std::int64_t T = std::ssize(kWords);
  const auto mask = COMPUTED(attention_mask(Sees::past, T));
  Heat heat{.id = "mask.picture",
            .title = "Each row is a token: which ones may it see? (1 is yes)",
            .rows = kWords,
            .columns = kWords,
            .values = {},
            .digits = 0};
  for (const float m : mask.value) heat.values.push_back(m == 0.0f ? 1 : 0);
  page.add(heat);
  page.number("mask.pairs", COMPUTED(T * T), {.formula = "$T * T$", .label = "pairs", .print = Print::count});
  page.number("mask.allowed", COMPUTED(allowed_pairs(mask.value, T)),
              {.formula = "$T (T + 1) / 2$",
               .inputs = {"mask.pairs"},
               .label = "allowed pairs",
               .print = Print::count});
  page.number("mask.before_on", COMPUTED(visible(mask.value, T, 2)),
              {.formula = "tokens that `sat` may see", .label = "tokens", .print = Print::count});
  page.paragraph(
      "Of {mask.pairs} pairs, {mask.allowed} are allowed. The prediction of `on`, the fourth word, is made "
      "at the place of `sat`, and may use {mask.before_on} tokens: `The cat sat`.");
}

// The attention of the third token, from its scores, with the mask or without it.
std::vector<double> attention_row(Sees sees) {
  const std::vector<float> mask = attention_mask(sees, 4);
  float scores[] = {0.5f, 1.0f, 2.0f, 3.0f};
  for (std::size_t k = 0; k < 4; ++k) scores[k] += mask[2 * 4 + k];
  Tape tape(Recording::off);
  const Tensor P = softmax(tape, Tensor(scores, {1, 4}));
  return {P.f32(), P.f32() + 4};
}

void before_softmax(Page& page) {
  page.heading("It is added before softmax", 3);
  page.formula("P = softmax(Q Kᵀ / √d + M)");
  page.paragraph(
      "The mask $M$ is 0 for an allowed pair and minus infinity for a forbidden one. Softmax turns minus "
      "infinity into exactly 0, and shares the attention among the others. These are invented scores of the "
      "third of four tokens; the fourth has the highest score, but lies in the future:");
  const auto masked = COMPUTED(attention_row(Sees::past));
  const auto open = COMPUTED(attention_row(Sees::everything));
  Table table{.caption = "", .columns = {"token", "score", "$M$", "attention", "without the mask"}};
  const char* scores[] = {"0.5", "1.0", "2.0", "3.0"};
  for (std::int64_t k = 0; k < 4; ++k) {
    const About about{.digits = 3,
                      .formula = "$e^{score + M} / sum$",
                      .label = "attention",
                      .engine = "softmax_forward in ops/softmax_simd.h"};
    table.rows.push_back({std::to_string(k + 1), scores[k], k < 3 ? "0" : "-∞",
                          page.number(str("row.masked.", k + 1), masked.at(k), about),
                          page.number(str("row.open.", k + 1), open.at(k), about)});
  }
  page.add(table);
}

void write(Page& page, const LessonSettings& settings) {
  page.lede(
      "A mask decides what a model may see, and another one what it learns from. Leave out either, and "
      "training still runs, and the result is wrong.");
  causal_mask(page);
  before_softmax(page);
  StoryModel right = train_with_causal_mask(settings);
  attention_maps(page, right.model);
  seeing_the_future(page, right, settings);
  assistant_only(page, settings);
  fine_tuning(page, right.model, settings);
}

}  // namespace

Lesson masks() {
  return {3,
          "Masks",
          "the causal mask and the loss mask: what a token may see, and what a model learns from",
          {{"no-causal-mask", "train a model that sees the future"},
           {"no-loss-mask", "learn to answer from the questions, too"}},
          write};
}

}  // namespace inkling
