// Lesson 6, stories: a GPT learns from random weights. Its curve above the exact minimum over rows, and the
// same prompt continued by every checkpoint.
#include <algorithm>
#include <array>
#include <string>

#include "apps/lessons/story_run.h"
#include "apps/lessons/training_loop/training_loop.h"
#include "apps/page/markup.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "nn/generate.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kHeldOutStream = 6001, kTextStream = 6002;
constexpr std::array<std::int64_t, 9> kCheckpoints = {0, 10, 25, 50, 100, 200, 400, 700, 1000};
constexpr std::int64_t kNewTokens = 48, kTexts = 16;
constexpr const char* kPrompt = "Once there was a";

// ---- What a checkpoint can do ----

struct Checkpoint {
  std::int64_t step;
  double loss;                     // on stories that it has not seen
  std::vector<std::int32_t> text;  // the prompt, continued
  double right;                    // the mean number of new tokens before the first mistake
};

// Continues the prompt kTexts times. Every checkpoint uses the same random numbers.
std::vector<std::vector<std::int32_t>> continued(GPT2& model, std::uint64_t seed) {
  const std::vector<std::int32_t> prompt = story_prompt(kPrompt);
  std::vector<std::vector<std::int32_t>> texts(kTexts, prompt);
  Rng seeds(seed, kTextStream);
  std::vector<Rng> rngs;
  for (std::int64_t i = 0; i < kTexts; ++i) rngs.emplace_back(seeds.next());
  generate(model, prompt, {.max_tokens = kNewTokens}, rngs, [&](std::int64_t text, std::int32_t id) {
    texts[static_cast<std::size_t>(text)].push_back(id);
    return id != story_tokenizer().end_of_text();
  });
  return texts;
}

Checkpoint checkpoint_of(GPT2& model, std::int64_t step, StoryRows& held_out, std::uint64_t seed) {
  const auto texts = continued(model, seed);
  double right = 0;
  for (const auto& text : texts)
    right += static_cast<double>(tokens_without_mistake(text) - std::ssize(story_prompt(kPrompt)));
  return {step, mean_loss(model, held_out), texts[0], right / static_cast<double>(kTexts)};
}

// ---- The page ----

struct StoryTraining {
  Series batch{.name = "loss of each batch", .x = {}, .y = {}, .look = Look::faint};
  std::vector<Checkpoint> checkpoints;
};

StoryTraining train(const StoryRun& run, StoryRows& held_out, const LessonSettings& settings) {
  StoryTraining training;
  GPT2 untrained(run.config());
  untrained.initialise(run.seed);
  training.checkpoints.push_back(checkpoint_of(untrained, 0, held_out, settings.seed));
  train_on_stories(run, [&](std::int64_t step, double loss, GPT2& model) {
    if (step % 10 == 0) settings.progress(str("training on stories: step ", step, " of ", run.steps));
    if (step < 20 || step % 5 == 0) {
      training.batch.add(static_cast<double>(step), loss);
    }
    if (std::find(kCheckpoints.begin(), kCheckpoints.end(), step) != kCheckpoints.end())
      training.checkpoints.push_back(checkpoint_of(model, step, held_out, settings.seed));
  });
  return training;
}

void curve(Page& page, const StoryTraining& training, double min_over_rows) {
  Series held_out{.name = "new stories", .x = {}, .y = {}, .look = Look::main};
  for (const Checkpoint& checkpoint : training.checkpoints) {
    held_out.add(static_cast<double>(checkpoint.step), checkpoint.loss);
  }
  page.add(LineChart{.id = "story.chart",
                     .title = "A GPT learns stories",
                     .x_label = "step",
                     .y_label = "loss",
                     .series = {training.batch, held_out},
                     .marks = {{'y', min_over_rows, "minimum over rows", Look::minimum}},
                     .toggle_log_x = false,
                     .toggle_log_y = true,
                     .y_min = 0.0});
}

void table_of_checkpoints(Page& page, const StoryTraining& training) {
  Table table{
      .caption = "",
      .columns = {"step", "loss on new stories", "above the minimum over rows", "tokens without a mistake"}};
  for (const Checkpoint& checkpoint : training.checkpoints) {
    const std::string name = str("story.", checkpoint.step);
    const auto state = COMPUTED(Checkpoint(checkpoint));
    const Ref loss = page.number(name + ".loss", state.of(checkpoint.loss),
                                 {.digits = 3,
                                  .formula = "mean cross-entropy on stories that it has not seen",
                                  .label = "loss",
                                  .engine = "loss in nn/gpt2.cc"});
    const Ref above =
        page.number(name + ".above", COMPUTED(checkpoint.loss - page.at("story.min_over_rows").value),
                    {.digits = 3,
                     .formula = "$loss - minimum$",
                     .inputs = {loss, "story.min_over_rows"},
                     .label = "reducible loss"});
    table.rows.push_back(
        {std::to_string(checkpoint.step), loss, above,
         page.number(
             name + ".right", state.of(checkpoint.right),
             {.digits = 1,
              .formula = "mean number of new tokens before the first one that the grammar cannot write",
              .inputs = {"story.texts"},
              .label = "tokens without a mistake",
              .engine = "generate in nn/generate.cc"})});
  }
  page.add(table);
}

void scrub(Page& page, const StoryTraining& training) {
  page.heading("The same prompt, continued by every checkpoint", 3);
  page.paragraph(
      "Each checkpoint continues *" + verbatim(kPrompt) +
      "* with the same random numbers. The first word that the grammar of the stories cannot write is in "
      "brackets.");
  page.steps("scrub", "Scrub through training", [&] {
    for (const Checkpoint& checkpoint : training.checkpoints) {
      const std::string name = str("story.", checkpoint.step);
      page.step(checkpoint.step == 0 ? "Before training" : str("After ", checkpoint.step, " steps"));
      page.paragraph("*" + verbatim(kPrompt) + "*" +
                     marked_story(checkpoint.text, std::ssize(story_prompt(kPrompt))));
      page.paragraph("Loss {" + name + ".loss}, and {" + name +
                     ".right} tokens without a mistake, over {story.texts} texts.");
    }
  });
}

// The difference between the highest and the lowest loss of the last 20 measured batches. The document prints
// only the loss of the last batch, which depends on chance.
double spread_of_batches(const Series& batch) {
  const auto end = batch.y.end();
  const auto [low, high] = std::minmax_element(end - 20, end);
  return *high - *low;
}

}  // namespace

void learn_stories(Page& page, const LessonSettings& settings) {
  page.heading("Then a GPT on stories");
  const StoryRun run{.steps = kCheckpoints.back(), .seed = settings.seed};
  Rng rng(settings.seed, kHeldOutStream);
  StoryRows held_out = story_rows(32, run.T, rng);
  page.given("story.steps", static_cast<double>(run.steps),
             {.formula = "steps of training", .label = "steps", .print = Print::count});
  page.given("story.texts", static_cast<double>(kTexts),
             {.formula = "texts for each checkpoint", .label = "texts", .print = Print::count});
  page.number("story.parameters", COMPUTED(run.config().parameter_count()),
              {.formula = "all weights of the model",
               .label = "parameters",
               .engine = "parameter_count in nn/gpt2_config.cc",
               .print = Print::count});
  add_minima(page, "story", held_out);
  page.number("story.guess", COMPUTED(portable::log(static_cast<double>(run.config().vocab_size))),
              {.digits = 3, .formula = "$log V$", .label = "loss of a guess"});
  page.paragraph(
      "The same loop, a larger model of {story.parameters} parameters, and a larger text: short stories, "
      "written by a grammar with random choices. The optimiser is AdamW, with warm-up and clipping. Because "
      "the grammar knows the probability of every word, the lowest possible loss is known: "
      "{story.min_over_rows} on these rows (over the whole stories from which the rows are cut: "
      "{story.min_over_stories}). The documents draw such a dashed line at an invented 2; this one is exact, "
      "and no model of any size can cross it on new stories.");
  const StoryTraining training = train(run, held_out, settings);
  curve(page, training, held_out.min_over_rows);
  table_of_checkpoints(page, training);
  page.number("story.spread", COMPUTED(spread_of_batches(training.batch)),
              {.digits = 3,
               .formula = "highest - lowest loss of 20 of the last 100 batches",
               .label = "spread of the batches' losses",
               .engine = "training_step in apps/run/training_step.cc"});
  page.paragraph(
      "Before training, the loss is {story.0.loss}, about that of a guess, $log V$ = {story.guess}. In the "
      "first tens of steps the model learns which words are frequent, then which word follows which, and "
      "then what needs memory: whose story it is, and what was lost. Each stage is slower than the one "
      "before, so the curve is steep and then flat. After {story.steps} steps, {story.1000.above} is left "
      "above the minimum over rows.");
  page.correction(
      "Training the LLM, the training loop",
      "the loop prints the loss of an epoch, which is the loss of its last batch.",
      "batches are easy or hard by luck: the last ones here differ by up to {story.spread}. The loss on "
      "stories that were set aside says how good the model is.");
  scrub(page, training);
}

}  // namespace inkling
