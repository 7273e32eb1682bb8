// The learning rate of each step: a linear warm-up, then one of four schedules.
//
//   warm-up   lr (step + 1) / warmup_steps               while step < warmup_steps
//   constant  lr
//   linear    from lr to min_lr along a straight line
//   cosine    from lr to min_lr along half a cosine      (Loshchilov & Hutter 2017, without restarts)
//   wsd       warm-up, stable, decay: lr, then in the last fifth of all steps along a straight line to
//             min_lr (Hu et al. 2024, MiniCPM)
//
// Steps count from 0, as in llm.c. The learning rate would reach min_lr at step number `steps`, but step
// number `steps` - 1 is the last step of the training. In training, Trainer::run in apps/run/trainer.cc calls
// learning_rate for each step.
#pragma once

#include <cstdint>
#include <string_view>

namespace inkling {

enum class LearningRateDecay { constant, linear, cosine, wsd };

const char* name(LearningRateDecay decay);

// Converts a name to a LearningRateDecay. For an unknown name, the Error lists all names.
LearningRateDecay parse_learning_rate_decay(std::string_view name);

struct LearningRateSchedule {
  LearningRateDecay decay = LearningRateDecay::cosine;
  double lr = 3e-4;
  double min_lr = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t steps = 1;  // the number of steps of the whole run
};

float learning_rate(const LearningRateSchedule& schedule, std::int64_t step);

}  // namespace inkling
