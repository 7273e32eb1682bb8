#include "apps/lessons/scale/runs.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace inkling {

namespace {

// The learning rate of 64 channels that the other lessons use, too.
constexpr double kRate = 4e-3, kRateChannels = 64;

StoryRun run_of(const ScalePlan& plan, const ModelSize& size, std::int64_t share, std::uint64_t seed) {
  return {.layers = size.layers,
          .heads = size.heads,
          .channels = size.channels,
          .B = plan.B,
          .T = plan.T,
          .steps = plan.steps / share,
          .lr = rate_of(size),
          .seed = seed};
}

double flops_of(const StoryRun& run) {
  return run.config().training_flops_per_token(run.T) * static_cast<double>(run.B * run.T * run.steps);
}

// A training's place in all trainings, for messages.
struct Progress {
  const LessonSettings& settings;
  double all_flops, done_flops = 0;

  void say(const StoryRun& run, std::int64_t step) const {
    if (step % 20 != 1) return;
    const double here = flops_of(run) * static_cast<double>(step) / static_cast<double>(run.steps);
    settings.progress(
        str("models of several sizes: ", static_cast<int>(100 * (done_flops + here) / all_flops), "%, ",
            run.config().parameter_count(), " parameters, step ", step, " of ", run.steps));
  }
};

// Trains and examines a model. `checkpoints` may be nullptr.
Trained train_one(const StoryRun& run, std::size_t size, std::int64_t share, Exam& exam, Progress& progress,
                  std::vector<Checkpoint>* checkpoints) {
  std::int64_t next = 1;  // the next step at which abilities are measured: 1, 2, 3, 4, 6, 9, ...
  GPT2 model = train_on_stories(run, [&](std::int64_t step, double, GPT2& now) {
    progress.say(run, step);
    if (checkpoints == nullptr || (step != next && step != run.steps)) return;
    checkpoints->push_back({step, exam.examine(now)});
    next = std::max(next + 1, next * 3 / 2);
  });
  progress.done_flops += flops_of(run);
  const Examination result = exam.examine(model);
  return {size,
          share,
          model.config().parameter_count(),
          run.B * run.T * (run.distinct_steps > 0 ? run.distinct_steps : run.steps),
          flops_of(run),
          result,
          result.loss - exam.stories().min_over_rows};
}

Exam exam_of(const ScalePlan& plan, const LessonSettings& settings) {
  return Exam(plan.exam_rows, plan.T, settings.seed);
}

}  // namespace

ScalePlan scale_plan(bool quick) {
  if (quick) {
    return {.sizes = {{1, 2, 12}, {2, 2, 24}, {2, 4, 48}},
            .shares = {16, 4, 1},
            .B = 16,
            .T = 64,
            .steps = 160,
            .most_flops = 1e12,
            .studied = 2,
            .compared = 4,
            .exam_rows = 32};
  }
  return {.sizes = {{1, 2, 12}, {2, 2, 24}, {2, 4, 48}, {3, 5, 80}, {3, 8, 128}, {4, 6, 192}},
          .shares = {64, 16, 4, 1},
          .B = 16,
          .T = 64,
          .steps = 5120,
          .most_flops = 4e12,
          .studied = 2,
          .compared = 16,
          .exam_rows = 64};
}

double rate_of(const ModelSize& size) {
  return kRate * std::sqrt(kRateChannels / static_cast<double>(size.channels));
}

const Trained& Measurements::longest(std::size_t size) const {
  const Trained* best = nullptr;
  for (const Trained& run : runs) {
    if (run.size == size && (best == nullptr || run.tokens > best->tokens)) best = &run;
  }
  if (best == nullptr) fail("lesson 9: no run of size ", size);
  return *best;
}

Measurements measure(const ScalePlan& plan, const LessonSettings& settings) {
  struct Planned {
    std::size_t size;
    std::int64_t share;
    StoryRun run;
  };
  std::vector<Planned> planned;
  Progress progress{settings, 0};
  for (std::size_t size = 0; size < plan.sizes.size(); ++size) {
    for (const std::int64_t share : plan.shares) {
      const StoryRun run = run_of(plan, plan.sizes[size], share, settings.seed);
      if (flops_of(run) > plan.most_flops) continue;
      planned.push_back({size, share, run});
      progress.all_flops += flops_of(run);
    }
  }
  Exam exam = exam_of(plan, settings);
  Measurements measured{{}, {}, exam.stories().min_over_rows, exam.stories().min_over_stories, {}};
  for (std::size_t a = 0; a < kAbilities; ++a) measured.places[a] = std::ssize(exam.places()[a]);
  for (const Planned& p : planned) {
    const bool studied = p.size == plan.studied && p.share == plan.shares.back();
    measured.runs.push_back(
        train_one(p.run, p.size, p.share, exam, progress, studied ? &measured.checkpoints : nullptr));
  }
  return measured;
}

std::vector<Trained> measure_same_rate(const ScalePlan& plan, const LessonSettings& settings) {
  Exam exam = exam_of(plan, settings);
  Progress progress{settings, 0};
  for (const ModelSize& size : plan.sizes)
    progress.all_flops += flops_of(run_of(plan, size, plan.compared, settings.seed));
  std::vector<Trained> runs;
  for (std::size_t size = 0; size < plan.sizes.size(); ++size) {
    StoryRun run = run_of(plan, plan.sizes[size], plan.compared, settings.seed);
    run.lr = rate_of(plan.sizes.front());
    runs.push_back(train_one(run, size, plan.compared, exam, progress, nullptr));
  }
  return runs;
}

std::vector<Trained> measure_repeated(const ScalePlan& plan, const LessonSettings& settings) {
  Exam exam = exam_of(plan, settings);
  std::vector<Trained> runs;
  StoryRun run = run_of(plan, plan.sizes[plan.studied], 1, settings.seed);
  Progress progress{settings, flops_of(run) * static_cast<double>(plan.shares.size())};
  for (const std::int64_t share : plan.shares) {
    run.distinct_steps = plan.steps / share;
    runs.push_back(train_one(run, plan.studied, share, exam, progress, nullptr));
  }
  return runs;
}

}  // namespace inkling
