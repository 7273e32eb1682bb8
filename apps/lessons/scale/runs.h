// The trainings of lesson 9: models of several sizes on several shares of the data.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/lessons/lessons.h"
#include "apps/lessons/scale/abilities.h"

namespace inkling {

struct ModelSize {
  std::int64_t layers, heads, channels;
};

// What is trained: each size on each share of the data, unless it would cost more than `most_flops`. The
// share of 4 is a training with a quarter of the steps. All stories of a training are new.
struct ScalePlan {
  std::vector<ModelSize> sizes;      // from small to large
  std::vector<std::int64_t> shares;  // from small to large: 64 (a 64th of the data), ..., 1
  std::int64_t B, T, steps;          // of a training with all the data
  double most_flops;
  std::size_t studied;    // the size whose abilities are measured during training
  std::int64_t compared;  // the share on which all sizes are trained
  std::int64_t exam_rows;
};
ScalePlan scale_plan(bool quick);

// The learning rate of a size: the wider the model, the lower.
double rate_of(const ModelSize& size);

// A finished training.
struct Trained {
  std::size_t size;
  std::int64_t share, parameters, tokens;
  double flops;  // of the whole training (GPT2Config::training_flops_per_token)
  Examination exam;
  double reducible;  // the loss on the exam minus the exam's minimum over rows
};

// The abilities of a model during its training.
struct Checkpoint {
  std::int64_t step;
  Examination exam;
};

struct Measurements {
  std::vector<Trained> runs;
  std::vector<Checkpoint> checkpoints;     // of the size `studied`, with as much data as it gets
  double min_over_rows, min_over_stories;  // of the exam's stories
  std::array<std::int64_t, kAbilities> places;

  // The run of a size with the most data.
  const Trained& longest(std::size_t size) const;
};

Measurements measure(const ScalePlan& plan, const LessonSettings& settings);

// The runs of --break=same-rate: all sizes on the compared share, with the learning rate of the smallest.
std::vector<Trained> measure_same_rate(const ScalePlan& plan, const LessonSettings& settings);

// The runs of --break=repeated-data: the studied size takes all steps, but only on a share of the stories,
// again and again. `tokens` counts the different tokens.
std::vector<Trained> measure_repeated(const ScalePlan& plan, const LessonSettings& settings);

}  // namespace inkling
