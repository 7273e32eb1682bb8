// Lesson 1, training: with and without the label shift, and how many tasks one pass of the model solves.
#include <algorithm>
#include <cmath>

#include "apps/lessons/story_run.h"
#include "apps/lessons/the_task/the_task.h"
#include "apps/page/markup.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "nn/generate.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kHeldOutStream = 1101;
constexpr const char* kPrompt = "Once there was a";

Series curve_of(std::string name, Look look) {
  return {.name = std::move(name), .x = {}, .y = {}, .look = look};
}

GPT2 trained(const StoryRun& run, Series& curve, const LessonSettings& settings) {
  return train_on_stories(run, [&](std::int64_t step, double loss, GPT2&) {
    if (step % 10 == 0) settings.progress(str("training ", curve.name, ": step ", step, " of ", run.steps));
    if (step > 1 && step % 5 != 0) return;
    curve.add(static_cast<double>(step), loss);
  });
}

std::string greedy_text(GPT2& model, std::int64_t tokens) {
  const std::vector<std::int32_t> prompt = story_prompt(kPrompt);
  std::vector<std::int32_t> text;
  Rng rng(0);
  generate(model, prompt, {.max_tokens = tokens, .sampler = {.temperature = 0.0f}}, rng,
           [&](std::int32_t id) {
             text.push_back(id);
             return id != story_tokenizer().end_of_text();
           });
  return story_tokenizer().decode(text);
}

// The largest difference between the logits of one pass over a text and of a pass over each prefix alone.
double difference_from_prefixes(GPT2& model, const std::vector<std::int32_t>& ids) {
  const auto whole = logits_after_each(model, ids);
  double most = 0;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const auto alone =
        logits_after_each(model, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(t) + 1});
    for (std::size_t v = 0; v < whole[t].size(); ++v)
      most = std::max(most, std::abs(static_cast<double>(whole[t][v]) - static_cast<double>(alone[t][v])));
  }
  return most;
}

void without_the_shift(Page& page, LineChart& chart, StoryRun run, StoryRows& held_out,
                       const LessonSettings& settings) {
  run.shift_labels = false;
  Series curve = curve_of("without the shift", Look::wrong);
  GPT2 broken = trained(run, curve, settings);
  chart.series.push_back(curve);
  page.add(chart);
  page.number("broken.own_loss", COMPUTED(curve.y.back()),
              {.formula = "the loss of the last batch, against its own inputs",
               .label = "loss without the shift",
               .engine = "loss in nn/gpt2.cc"});
  page.number("broken.loss", COMPUTED(mean_loss(broken, held_out)),
              {.digits = 2,
               .formula = "the mean loss of the same model on the real task",
               .inputs = {"broken.own_loss"},
               .label = "loss on the real task",
               .engine = "loss in nn/gpt2.cc"});
  page.paragraph(
      "Without the shift, each token is its own target. The loss falls to {broken.own_loss}, far below the "
      "minimum over rows, {task.min_over_rows}. This is too good to be true: the model has learned to copy. "
      "At the real task, its loss is {broken.loss}, and it continues *" +
      verbatim(kPrompt) + "* with:");
  page.paragraph("*…" + verbatim(greedy_text(broken, 12)) + "*");
}

}  // namespace

GPT2 train_on_the_task(Page& page, const LessonSettings& settings) {
  page.heading("A model learns the task");
  const StoryRun run{.steps = 1000, .seed = settings.seed};
  Series curve = curve_of("with the shift", Look::main);
  GPT2 model = trained(run, curve, settings);
  Rng rng(settings.seed, kHeldOutStream);
  StoryRows held_out = story_rows(32, run.T, rng);
  page.given("task.steps", static_cast<double>(run.steps),
             {.formula = "steps of training", .label = "steps", .print = Print::count});
  page.number("task.tasks", COMPUTED(run.B * run.T * run.steps),
              {.formula = "rows * tokens * steps",
               .inputs = {"task.steps"},
               .label = "prediction tasks",
               .print = Print::count});
  add_minima(page, "task", held_out);
  page.number("task.loss", COMPUTED(mean_loss(model, held_out)),
              {.formula = "mean cross-entropy on stories that it has not seen",
               .label = "loss",
               .engine = "loss in nn/gpt2.cc"});
  page.paragraph(
      "A small GPT was trained while this page was made: {task.steps} steps, {task.tasks} tasks from short "
      "stories that a grammar writes. On new stories its loss is {task.loss}. The grammar knows the "
      "probability of each next word, so the lowest possible loss is known: {task.min_over_rows} on these "
      "rows (over the whole stories from which the rows are cut: {task.min_over_stories}).");
  LineChart chart{.id = "task.chart",
                  .title = "The loss while it learns",
                  .x_label = "step",
                  .y_label = "loss of the batch",
                  .series = {curve},
                  .marks = {{'y', held_out.min_over_rows, "minimum over rows", Look::minimum}},
                  .toggle_log_y = true,
                  .y_min = 0.0};
  if (settings.breaks("no-shift")) {
    without_the_shift(page, chart, run, held_out, settings);
  } else {
    page.add(chart);
    page.paragraph(
        "`--break=no-shift` trains a second model with each token as its own target. The first one continues "
        "*" +
        verbatim(kPrompt) + "* with:");
    page.paragraph("*…" + verbatim(greedy_text(model, 12)) + "*");
  }
  return model;
}

void one_pass(Page& page, GPT2& model) {
  page.heading("All tasks of a text in one pass", 3);
  const std::vector<std::int32_t> ids =
      story_prompt("Once there was a brave girl named Lily. One sunny morning, Lily and her mother were");
  page.number("once.tasks", COMPUTED(logits_after_each(model, ids).size()),
              {.formula = "one prediction after each token",
               .label = "predictions",
               .engine = "logits in nn/gpt2.cc",
               .print = Print::count});
  page.number("once.difference", COMPUTED(difference_from_prefixes(model, ids)),
              {.digits = 1,
               .formula = "the largest |logit of one pass - logit of the prefix alone|",
               .inputs = {"once.tasks"},
               .label = "largest difference",
               .engine = "logits in nn/gpt2.cc",
               .print = Print::scientific});
  page.paragraph(
      "The model need not read a text again for each prefix. No position sees a later one, so one pass over "
      "{once.tasks} tokens gives the same {once.tasks} predictions as {once.tasks} passes over its prefixes. "
      "The largest difference between the logits is {once.difference}.");
}

}  // namespace inkling
