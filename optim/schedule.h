// The learning rate of each step: a linear warm-up, then one of four ways to go on.
//
//   warm-up   lr (step + 1) / warmup_steps               while step < warmup_steps
//   constant  lr
//   linear    from lr to min_lr, straight
//   cosine    from lr to min_lr along half a cosine      (Loshchilov & Hutter 2017, without restarts)
//   wsd       lr, then in the last fifth of all steps straight to min_lr: warm-up, stable, decay
//             (Hu et al. 2024, MiniCPM)
//
// Step counts from 0, as in llm.c: min_lr belongs to step `steps`, which is not trained any more.
#pragma once

#include <cstdint>
#include <string_view>

namespace inkling {

enum class LearningRateDecay { constant, linear, cosine, wsd };

const char* name(LearningRateDecay decay);

// Error, with the choices, for a name that is none of theirs.
LearningRateDecay parse_learning_rate_decay(std::string_view name);

struct LearningRateSchedule {
  LearningRateDecay decay = LearningRateDecay::cosine;
  double lr = 3e-4;
  double min_lr = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t steps = 1;  // of the whole run
};

float learning_rate(const LearningRateSchedule& schedule, std::int64_t step);

}  // namespace inkling
