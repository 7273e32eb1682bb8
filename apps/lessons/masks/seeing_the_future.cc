// Lesson 3, proof that the causal mask matters: a model trained without it has a loss that is too good to be
// true, and cannot write.
#include <algorithm>
#include <string>

#include "apps/lessons/masks/masked_gpt.h"
#include "apps/lessons/masks/masks.h"
#include "apps/lessons/masks/story_talk.h"
#include "apps/lessons/story_run.h"
#include "apps/page/markup.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "nn/generate.h"
#include "optim/adamw.h"
#include "optim/clip.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kOpenStream = 3001, kHeldOutStream = 3002;
constexpr std::int64_t kSteps = 1000, kOpenSteps = 300, kHeldOutRows = 64, kWritingRows = 16, kNewTokens = 24;
constexpr const char* kPrompt = "Once there was a";

void add_point(Series& curve, std::int64_t step, double loss) {
  if (step > 20 && step % 5 != 0) return;
  curve.add(static_cast<double>(step), loss);
}

// Trains like train_on_stories(), but every token sees the whole row.
GPT2 train_without_mask(const StoryRun& run, Series& curve, const LessonSettings& settings) {
  GPT2 model(run.config());
  model.initialise(run.seed);
  MaskedGpt open(model, Sees::everything, run.T);
  Parameters& weights = model.parameters();
  AdamW optimizer(segments_of(weights.table()), {});
  Rng rng(run.seed, kOpenStream);
  Tape tape;
  for (std::int64_t step = 1; step <= run.steps; ++step) {
    if (step % 10 == 0)
      settings.progress(str("training without the causal mask: step ", step, " of ", run.steps));
    StoryRows rows = story_rows(run.B, run.T, rng);
    tape.clear();
    const Tensor loss = open.loss(tape, rows.id_tensor(), rows.target_tensor());
    add_point(curve, step, static_cast<double>(loss.item()));
    tape.backward(loss);
    const double norm = global_norm(weights.gradients().data(), weights.count());
    optimizer.step(weights.values().data(), weights.gradients().data(), step,
                   learning_rate(run.schedule(), step - 1), clip_factor(norm, run.max_norm));
  }
  return model;
}

// The mean loss at each position of the rows.
std::vector<double> mean_by_position(GPT2& model, StoryRows& rows, Sees sees) {
  const std::vector<double> losses =
      MaskedGpt(model, sees, rows.T).token_losses(rows.id_tensor(), rows.target_tensor());
  std::vector<double> means(static_cast<std::size_t>(rows.T), 0.0);
  for (std::size_t i = 0; i < losses.size(); ++i)
    means[i % means.size()] += losses[i] / static_cast<double>(rows.B);
  return means;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// The mean loss if the future does not exist yet, as when a model writes: the loss of the last token of each
// beginning of a row. All tokens of the beginning see each other.
double loss_when_writing(GPT2& model, const StoryRows& rows) {
  double sum = 0;
  for (std::int64_t n = 1; n <= rows.T; ++n) {
    std::vector<std::int32_t> ids, targets;
    for (std::int64_t b = 0; b < rows.B; ++b) {
      const auto first = static_cast<std::ptrdiff_t>(b * rows.T);
      ids.insert(ids.end(), rows.ids.begin() + first, rows.ids.begin() + first + n);
      targets.insert(targets.end(), rows.targets.begin() + first, rows.targets.begin() + first + n);
    }
    const std::vector<double> losses =
        MaskedGpt(model, Sees::everything, n)
            .token_losses(Tensor(ids.data(), {rows.B, n}), Tensor(targets.data(), {rows.B, n}));
    for (std::int64_t b = 0; b < rows.B; ++b) sum += losses[static_cast<std::size_t>(b * n + n - 1)];
  }
  return sum / static_cast<double>(rows.B * rows.T);
}

// Continues the prompt with the likeliest tokens. All tokens see each other, as in the training of the model.
std::vector<std::int32_t> written_without_mask(GPT2& model) {
  std::vector<std::int32_t> ids = story_prompt(kPrompt);
  const std::int64_t begin = std::ssize(ids);
  for (std::int64_t T = begin; T < begin + kNewTokens; ++T) {
    Tape tape(Recording::off);
    const Tensor logits = MaskedGpt(model, Sees::everything, T).logits(tape, Tensor(ids.data(), {1, T}));
    const float* last = logits.f32() + (T - 1) * logits.dim(2);
    ids.push_back(
        static_cast<std::int32_t>(std::max_element(last, last + story_tokenizer().vocab_size()) - last));
  }
  return ids;
}

std::vector<std::int32_t> written_with_mask(GPT2& model) {
  std::vector<std::int32_t> ids = story_prompt(kPrompt);
  Rng unused(0);
  generate(model, story_prompt(kPrompt), {.max_tokens = kNewTokens, .sampler = {.temperature = 0.0f}}, unused,
           [&](std::int32_t id) {
             ids.push_back(id);
             return id != story_tokenizer().end_of_text();
           });
  return ids;
}

// The numbers of both models, and what they write.
void compare(Page& page, GPT2& right, GPT2& open, StoryRows& rows, const StoryRows& few) {
  const auto right_losses = COMPUTED(mean_by_position(right, rows, Sees::past));
  const auto open_losses = COMPUTED(mean_by_position(open, rows, Sees::everything));
  const std::int64_t last = rows.T - 1;
  const auto loss = [&](const std::string& name, const Computed<double>& computed,
                        const std::string& formula) {
    return page.number(name, computed,
                       {.digits = 3,
                        .formula = formula,
                        .label = "loss",
                        .engine = "linear_token_losses in ops/linear_cross_entropy.h"});
  };
  const std::string in_training = "mean loss over all tokens of whole rows, as in training";
  const std::string writing = "mean loss of the last token of each beginning: nothing comes after it";
  const Ref right_row = loss("future.right.row", COMPUTED(mean_of(right_losses.value)), in_training);
  const Ref open_row = loss("future.open.row", COMPUTED(mean_of(open_losses.value)), in_training);
  const Ref right_last =
      loss("future.right.last", right_losses.at(last), "mean loss of the last token of a row");
  const Ref open_last =
      loss("future.open.last", open_losses.at(last), "mean loss of the last token of a row");
  const Ref open_writing = loss("future.open.writing", COMPUTED(loss_when_writing(open, few)), writing);
  const auto right_text = COMPUTED(written_with_mask(right));
  const auto open_text = COMPUTED(written_without_mask(open));
  const std::int64_t begin = std::ssize(story_prompt(kPrompt));
  const auto words = [&](const std::string& name, const Computed<std::vector<std::int32_t>>& text) {
    return page.number(name, text.of(static_cast<double>(tokens_without_mistake(text.value) - begin)),
                       {.formula = "new tokens before the first one that the grammar cannot write",
                        .label = "tokens",
                        .print = Print::count});
  };
  page.add(Table{.caption = "",
                 .columns = {"on new stories", "with the mask", "without"},
                 .rows = {{"loss in training, whole rows", right_row, open_row},
                          {"loss when it writes", right_row, open_writing},
                          {"tokens without a mistake", words("future.right.tokens", right_text),
                           words("future.open.tokens", open_text)}}});
  page.paragraph("With the mask, it continues *" + verbatim(kPrompt) + "* with:");
  page.paragraph(marked_story(right_text.value, begin));
  page.paragraph("Without:");
  page.paragraph(marked_story(open_text.value, begin));
  std::vector<double> positions(right_losses.value.size());
  for (std::size_t t = 0; t < positions.size(); ++t) positions[t] = static_cast<double>(t + 1);
  page.add(LineChart{
      .id = "future.positions",
      .title = "Loss at each place of a row",
      .x_label = "place in the row",
      .y_label = "loss",
      .series = {{.name = "with the mask", .x = positions, .y = right_losses.value, .look = Look::main},
                 {.name = "without", .x = positions, .y = open_losses.value, .look = Look::wrong}},
      .y_min = 0.0});
  page.paragraph(
      "Without the mask, the loss of a row is {future.open.row}, far below the minimum over rows, "
      "{future.min_over_rows} (over whole stories {future.min_over_stories}): too good to be true. The chart "
      "shows why. At every place but the last, the answer stands in the row, and the model has learned to "
      "look there. At the last place, where the next token is not in the row, its loss jumps to "
      "{future.open.last}; with the mask it is {future.right.last}. And when a model writes, every place is "
      "the last place: then its loss is {future.open.writing} instead of {future.right.row}. A loss below "
      "what is possible always means that the answers have leaked.");
}

}  // namespace

StoryModel train_with_causal_mask(const LessonSettings& settings) {
  const StoryRun run{.steps = kSteps, .seed = settings.seed};
  GPT2Config config = run.config();
  config.max_seq_len = kTalkTokens;
  config.vocab_size = talk_tokenizer().vocab_size();
  StoryModel right{GPT2(config), {.name = "with the causal mask", .x = {}, .y = {}, .look = Look::main}};
  right.model.initialise(run.seed);
  train_on_stories(right.model, run, [&](std::int64_t step, double loss, GPT2&) {
    if (step % 10 == 0)
      settings.progress(str("training with the causal mask: step ", step, " of ", run.steps));
    add_point(right.curve, step, loss);
  });
  return right;
}

void seeing_the_future(Page& page, StoryModel& right, const LessonSettings& settings) {
  page.heading("Training without the causal mask");
  const StoryRun run{.steps = kOpenSteps, .seed = settings.seed};
  Series curve{.name = "without the causal mask", .x = {}, .y = {}, .look = Look::wrong};
  GPT2 open = train_without_mask(run, curve, settings);
  Rng rng(settings.seed, kHeldOutStream);
  StoryRows rows = story_rows(kHeldOutRows, run.T, rng);
  const StoryRows few = story_rows(kWritingRows, run.T, rng);
  page.given("future.steps", static_cast<double>(kSteps),
             {.formula = "steps with the mask", .label = "steps", .print = Print::count});
  page.given("future.open.steps", static_cast<double>(kOpenSteps),
             {.formula = "steps without the mask", .label = "steps", .print = Print::count});
  add_minima(page, "future", rows);
  page.paragraph(
      "What if the mask is forgotten already in training? A second model of the same size learns the same "
      "stories, but each token sees the whole row. It was trained for {future.open.steps} steps, and the "
      "first one for {future.steps}.");
  LineChart chart{.id = "future.chart",
                  .title = "The loss while it learns",
                  .x_label = "step",
                  .y_label = "loss of the batch",
                  .series = {right.curve},
                  .marks = {{'y', rows.min_over_rows, "minimum over rows", Look::minimum}},
                  .toggle_log_y = true,
                  .y_min = 0.0};
  if (settings.breaks("no-causal-mask")) {
    chart.series.push_back(curve);
    page.number("broken.causal.loss", COMPUTED(double(curve.y.back())),
                {.digits = 3,
                 .formula = "the loss of the last batch without the mask",
                 .inputs = {"future.min_over_rows"},
                 .label = "loss without the mask",
                 .engine = kLossEngine});
    page.paragraph(
        "The wrong curve looks better than the right one: it crosses the minimum over rows, and ends at "
        "{broken.causal.loss}.");
  } else {
    page.paragraph("`--break=no-causal-mask` draws the second curve over the first one.");
  }
  page.add(chart);
  compare(page, right.model, open, rows, few);
}

}  // namespace inkling
