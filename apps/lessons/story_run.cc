#include "apps/lessons/story_run.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "apps/page/markup.h"
#include "apps/run/training_step.h"
#include "apps/text/label_shift.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "optim/adamw.h"
#include "optim/sgd.h"

namespace inkling {

namespace {

// The stream of random numbers that writes the stories of a run.
constexpr std::uint64_t kTrainingStream = 1001;

}  // namespace

StoryRows story_rows(std::int64_t B, std::int64_t T, Rng& rng) {
  StoryRows rows{.B = B, .T = T};
  double story_nats = 0;
  std::int64_t story_tokens = 0;
  for (std::int64_t b = 0; b < B; ++b) {
    Story text;
    while (std::ssize(text.tokens) < T + 1) story_grammar().write(rng, text);
    rows.ids.insert(rows.ids.end(), text.tokens.begin(), text.tokens.begin() + T);
    rows.targets.insert(rows.targets.end(), text.tokens.begin() + target_of(0),
                        text.tokens.begin() + target_of(T));
    rows.nats.insert(rows.nats.end(), text.nats.begin() + 1, text.nats.begin() + T + 1);
    for (const float nats : text.nats) story_nats += static_cast<double>(nats);
    story_tokens += std::ssize(text.tokens);
  }
  rows.min_over_rows = std::accumulate(rows.nats.begin(), rows.nats.end(), 0.0) / static_cast<double>(B * T);
  rows.min_over_stories = story_nats / static_cast<double>(story_tokens);
  return rows;
}

void add_minima(page::Page& page, const std::string& name, const StoryRows& rows) {
  const char* engine = "write in apps/text/grammar.cc";
  page.number(name + ".min_over_rows", COMPUTED(double(rows.min_over_rows)),
              {.digits = 3,
               .formula = "mean of $-log P$ under the grammar, over the targets of the rows",
               .label = "minimum over rows",
               .engine = engine});
  page.number(name + ".min_over_stories", COMPUTED(double(rows.min_over_stories)),
              {.digits = 3,
               .formula = "mean of $-log P$ under the grammar, over all tokens of the stories",
               .label = "minimum over whole stories",
               .engine = engine});
}

GPT2Config StoryRun::config() const {
  return {.max_seq_len = T,
          .vocab_size = story_tokenizer().vocab_size(),
          .layers = layers,
          .heads = heads,
          .channels = channels};
}

LearningRateSchedule StoryRun::schedule() const {
  return {.lr = lr,
          .min_lr = lr / 10,
          .warmup_steps = static_cast<std::int64_t>(warm_up * static_cast<double>(steps)),
          .steps = steps};
}

GPT2 train_on_stories(const StoryRun& run, const AfterStep& after_step) {
  GPT2 model(run.config());
  model.initialise(run.seed);
  train_on_stories(model, run, after_step);
  return model;
}

void train_on_stories(GPT2& model, const StoryRun& run, const AfterStep& after_step) {
  const auto segments = segments_of(model.parameters().table());
  std::unique_ptr<Optimizer> optimizer;
  if (run.sgd)
    optimizer = std::make_unique<Sgd>(segments, SgdSettings{});
  else
    optimizer = std::make_unique<AdamW>(segments, AdamWSettings{});
  const LearningRateSchedule schedule = run.schedule();
  Rng rng(run.seed, kTrainingStream);
  Tape tape;
  for (std::int64_t step = 1; step <= run.steps; ++step) {
    if (run.distinct_steps > 0 && (step - 1) % run.distinct_steps == 0) rng = Rng(run.seed, kTrainingStream);
    StoryRows rows = story_rows(run.B, run.T, rng);
    if (!run.shift_labels) rows.targets = rows.ids;
    const MicroBatch batch{rows.id_tensor(), rows.target_tensor()};
    const StepSettings settings{
        .step = step, .lr = learning_rate(schedule, step - 1), .max_norm = run.max_norm};
    const StepResult result = training_step(model, *optimizer, tape, {&batch, 1}, settings);
    after_step(step, result.loss, model);
  }
}

double mean_loss(GPT2& model, StoryRows& rows) {
  Tape tape(Recording::off);
  return static_cast<double>(model.loss(tape, rows.id_tensor(), rows.target_tensor()).item());
}

std::vector<std::int32_t> story_prompt(std::string_view text) {
  std::vector<std::int32_t> ids = story_tokenizer().encode(text);
  ids.insert(ids.begin(), story_tokenizer().end_of_text());
  return ids;
}

std::vector<std::vector<float>> logits_after_each(GPT2& model, std::vector<std::int32_t> ids) {
  Tape tape(Recording::off);
  const std::int64_t T = std::ssize(ids), V = model.config().vocab_size;
  const Tensor logits = model.logits(tape, Tensor(ids.data(), {1, T}));
  std::vector<std::vector<float>> rows;
  for (std::int64_t t = 0; t < T; ++t) {
    const float* row = logits.f32() + t * logits.dim(2);
    rows.emplace_back(row, row + V);
  }
  return rows;
}

std::int64_t tokens_without_mistake(std::span<const std::int32_t> ids) {
  std::vector<float> nats(ids.size(), NAN);
  try {
    story_grammar().score(ids, nats);
  } catch (const Error&) {
    // The grammar has refused a token, or the text ends early. The nats of the tokens before are written.
  }
  return std::find_if(nats.begin(), nats.end(), [](float n) { return std::isnan(n); }) - nats.begin();
}

std::string marked_story(std::span<const std::int32_t> text, std::int64_t begin) {
  const std::int64_t right = tokens_without_mistake(text), end = std::ssize(text);
  const auto part = [&](std::int64_t from, std::int64_t to) {
    return page::verbatim(story_tokenizer().decode(text.subspan(
        static_cast<std::size_t>(from), static_cast<std::size_t>(std::max<std::int64_t>(0, to - from)))));
  };
  if (right == end) return "…" + part(begin, end);
  const std::string wrong = story_tokenizer().token(text[static_cast<std::size_t>(right)]);
  const bool space = wrong.starts_with(' ');
  return "…" + part(begin, right) + (space ? " *[" : "*[") + page::verbatim(wrong.substr(space ? 1 : 0)) +
         "]*" + part(right + 1, end);
}

}  // namespace inkling
