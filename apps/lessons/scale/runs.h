// The trainings of lesson 9: models of several sizes on several shares of the data.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "apps/lessons/lessons.h"
#include "apps/lessons/scale/abilities.h"

namespace inkling {

struct ModelSize {
  std::int64_t layers, heads, channels;
};

// What is trained. A share of 1/4 is a training of a quarter of the steps, each on new stories.
struct ScalePlan {
  std::vector<ModelSize> sizes;
  std::vector<std::int64_t> shares;  // 1, 4, 16: all, a quarter, a sixteenth of the data
  std::int64_t B, T, steps;          // of a training with all the data
  std::int64_t exam_rows;
  std::uint64_t seed;
};
ScalePlan scale_plan(const LessonSettings& settings);

// The learning rate of a size: the smaller the model, the higher.
double rate_of(const ModelSize& size);

struct Trained {
  std::int64_t parameters, tokens;
  double flops;  // of the whole training (nn/gpt2_config.h)
  Examination exam;
  double minimum;  // the exact minimum on the exam's stories

  double reducible() const { return exam.loss - minimum; }
};

// Trains a size on a share of the plan's data, with learning rate `lr`, and examines it. after_step may be
// empty.
using AfterStep = std::function<void(std::int64_t step, double loss, GPT2& model)>;
Trained train_size(const ScalePlan& plan, const ModelSize& size, std::int64_t share, double lr, Exam& exam,
                   const AfterStep& after_step);

}  // namespace inkling
