// Lesson 6, what keeps the loop stable: warm-up and clipping, each on a run that needs it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "apps/lessons/story_run.h"
#include "apps/lessons/training_loop/training_loop.h"
#include "core/error.h"
#include "optim/clip.h"

namespace inkling {

using namespace page;

namespace {

constexpr const char* kStepEngine = "training_step in apps/run/training_step.cc";

struct GuardedRun {
  Series loss, norm;         // by step
  double last = 0;           // mean loss of the last 20 batches; NaN after a divergence
  double highest = 0;        // the highest loss
  std::int64_t stopped = 0;  // the step at which the loss was not finite; 0: never
};

GuardedRun run_guarded(const StoryRun& run, const std::string& name, Look look,
                       const LessonSettings& settings) {
  GuardedRun result;
  result.loss = result.norm = {.name = name, .x = {}, .y = {}, .look = look};
  try {
    train_on_stories(run, [&](std::int64_t step, double loss, GPT2& model) {
      if (step % 10 == 0) settings.progress(str(name, ": step ", step, " of ", run.steps));
      const std::span<const float> gradients = model.parameters().gradients();
      result.loss.add(static_cast<double>(step), loss);
      result.norm.add(static_cast<double>(step), global_norm(gradients.data(), std::ssize(gradients)));
    });
  } catch (const Diverged&) {
    result.stopped = std::ssize(result.loss.x) + 1;
  }
  result.highest = *std::max_element(result.loss.y.begin(), result.loss.y.end());
  if (result.stopped > 0) {
    result.last = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  for (auto y = result.loss.y.end() - 20; y != result.loss.y.end(); ++y) result.last += *y / 20;
  return result;
}

LineChart loss_chart(const std::string& id, const std::string& title) {
  return {.id = id,
          .title = title,
          .x_label = "step",
          .y_label = "loss of the batch",
          .y_min = 0.0,
          .y_max = 10.0};
}

Series rates_of(const StoryRun& run, const std::string& name, Look look) {
  Series series{.name = name, .x = {}, .y = {}, .look = look};
  for (std::int64_t step = 1; step <= run.steps; ++step) {
    series.add(static_cast<double>(step), static_cast<double>(learning_rate(run.schedule(), step - 1)));
  }
  return series;
}

}  // namespace

void warm_up(Page& page, const LessonSettings& settings) {
  page.heading("Warm-up");
  StoryRun run{.steps = 200, .lr = 0.04, .seed = settings.seed};
  page.given("warm_up.rate", run.lr,
             {.digits = 2, .formula = "a high learning rate", .label = "learning rate"});
  page.paragraph(
      "AdamW divides each gradient by a running estimate of its size. In the first steps this estimate rests "
      "on a handful of batches, and the weights are random, so the direction of a step means little. A "
      "warm-up starts with tiny steps and makes them longer as both get better. Here is a run at the high "
      "rate of {warm_up.rate}, which needs it:");
  LineChart rates{.id = "warm_up.rates",
                  .title = "The learning rate of each step",
                  .x_label = "step",
                  .y_label = "learning rate",
                  .series = {rates_of(run, "with warm-up", Look::main)},
                  .y_min = 0.0};
  LineChart losses = loss_chart("warm_up.chart", "Training at a high learning rate");
  const auto right = COMPUTED(run_guarded(run, "with warm-up", Look::main, settings));
  losses.series.push_back(right.value.loss);
  page.number("warm_up.loss", right.of(right.value.last),
              {.digits = 3,
               .formula = "mean loss of the last 20 batches",
               .inputs = {"warm_up.rate"},
               .label = "loss",
               .engine = kStepEngine});
  std::string text = "The run with warm-up ends at a loss of {warm_up.loss}. ";
  if (settings.breaks("no-warmup")) {
    run.warm_up = 0;
    const auto wrong = COMPUTED(run_guarded(run, "without warm-up", Look::wrong, settings));
    losses.series.push_back(wrong.value.loss);
    rates.series.push_back(rates_of(run, "without warm-up", Look::wrong));
    page.number("broken.warm_up.loss", wrong.of(wrong.value.last),
                {.digits = 3,
                 .formula = "mean loss of the last 20 batches, without warm-up",
                 .inputs = {"warm_up.rate"},
                 .label = "loss without warm-up",
                 .engine = kStepEngine});
    text +=
        "Without warm-up, the first steps throw the weights so far that the same run does not recover: it "
        "ends at {broken.warm_up.loss}.";
  } else {
    text += "`--break=no-warmup` begins the same run with the full rate.";
  }
  page.add(rates);
  page.add(losses);
  page.paragraph(text);
}

void clipping(Page& page, const LessonSettings& settings) {
  page.heading("Clipping");
  StoryRun run{.steps = 200, .lr = 1, .seed = settings.seed, .warm_up = 0, .sgd = true};
  page.given("clip.max", run.max_norm,
             {.digits = 1, .formula = "the longest gradient that is not shortened", .label = "max norm"});
  page.paragraph(
      "Gradients are slopes, and a loss has cliffs. One step over a cliff can throw the weights far away, "
      "where slopes are steeper still. Clipping measures the length of all gradients together, and shortens "
      "them to {clip.max} if they are longer. This run uses SGD with momentum at the rate 1, from the first "
      "step:");
  LineChart norms{.id = "clip.norms",
                  .title = "Length of the gradient before clipping",
                  .x_label = "step",
                  .y_label = "norm",
                  .marks = {{'y', run.max_norm, "shortened to this", Look::faint}},
                  .y_min = 0.0};
  LineChart losses = loss_chart("clip.chart", "Training with long steps");
  const auto right = COMPUTED(run_guarded(run, "with clipping", Look::main, settings));
  norms.series.push_back(right.value.norm);
  losses.series.push_back(right.value.loss);
  page.number("clip.loss", right.of(right.value.last),
              {.digits = 3,
               .formula = "mean loss of the last 20 batches",
               .inputs = {"clip.max"},
               .label = "loss",
               .engine = kStepEngine});
  page.number("clip.shortened",
              COMPUTED(std::count_if(norms.series[0].y.begin(), norms.series[0].y.end(),
                                     [](double n) { return n > 1; })),
              {.formula = "steps whose gradient was longer than the limit",
               .inputs = {"clip.max"},
               .label = "shortened gradients",
               .engine = "clip_factor in optim/clip.h",
               .print = Print::count});
  std::string text =
      "Of 200 gradients, {clip.shortened} were shortened, and the run ends at a loss of {clip.loss}. ";
  if (settings.breaks("no-clipping")) {
    run.max_norm = 0;
    const auto wrong = COMPUTED(run_guarded(run, "without clipping", Look::wrong, settings));
    losses.series.push_back(wrong.value.loss);
    page.number("broken.clip.highest", wrong.of(wrong.value.highest),
                {.digits = 1,
                 .formula = "the highest loss without clipping",
                 .inputs = {"clip.max"},
                 .label = "highest loss without clipping",
                 .engine = kStepEngine,
                 .print = Print::scientific});
    page.number("broken.clip.stopped", wrong.of(static_cast<double>(wrong.value.stopped)),
                {.formula = "the step at which the loss or the gradient was not finite; 0: never",
                 .inputs = {"broken.clip.highest"},
                 .label = "stopped at step",
                 .engine = kStepEngine,
                 .print = Print::count});
    text +=
        "Without clipping the loss climbs to {broken.clip.highest}, and at step {broken.clip.stopped} it is "
        "not a number any more: the training step refuses to continue.";
  } else {
    text += "`--break=no-clipping` follows every gradient as far as it goes.";
  }
  page.add(norms);
  page.add(losses);
  page.paragraph(text);
  page.paragraph(
      "With AdamW, clipping matters less: it divides by the size of the gradient anyway, so one long "
      "gradient makes no long step. It is kept as an insurance.");
}

}  // namespace inkling
