#include "apps/lessons/scale/runs.h"

#include <cmath>

namespace inkling {

ScalePlan scale_plan(const LessonSettings& settings) {
  ScalePlan plan{.sizes = {{1, 2, 12}, {2, 2, 24}, {2, 4, 48}, {3, 5, 80}, {3, 8, 128}, {4, 6, 192}},
                 .shares = {64, 16, 4, 1},
                 .B = 4,
                 .T = 128,
                 .steps = 640,
                 .exam_rows = 64,
                 .seed = settings.seed};
  return plan;
}

double rate_of(const ModelSize& size) {
  return 4e-3 * std::sqrt(64.0 / static_cast<double>(size.channels));
}

Trained train_size(const ScalePlan& plan, const ModelSize& size, std::int64_t share, double lr, Exam& exam,
                   const AfterStep& after_step) {
  const StoryRun run{.layers = size.layers,
                     .heads = size.heads,
                     .channels = size.channels,
                     .B = plan.B,
                     .T = plan.T,
                     .steps = plan.steps / share,
                     .lr = lr,
                     .seed = plan.seed};
  GPT2 model = train_on_stories(run, [&](std::int64_t step, double loss, GPT2& now) {
    if (after_step) after_step(step, loss, now);
  });
  const std::int64_t tokens = run.B * run.T * run.steps;
  return {model.config().parameter_count(), tokens,
          model.config().training_flops_per_token(run.T) * static_cast<double>(tokens), exam.examine(model),
          exam.minimum()};
}

}  // namespace inkling
