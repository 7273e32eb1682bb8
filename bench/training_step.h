// One training step (apps/run/training_step.h) on random tokens.
#pragma once

#include <vector>

#include "apps/run/training_step.h"
#include "core/rng.h"
#include "nn/gpt2.h"
#include "optim/adamw.h"

namespace inkling::bench {

class TrainingStep {
 public:
  TrainingStep(const GPT2Config& config, std::int64_t B, std::int64_t T, Precision precision)
      : model_(config), optimizer_(segments_of(model_.parameters().table()), AdamWSettings{}) {
    model_.initialise(1);
    model_.set_precision(precision, Recording::on);
    Rng rng(2);
    const auto token = [&] {
      return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocab_size)));
    };
    for (std::int64_t i = 0; i < B * T; ++i) {
      ids_.push_back(token());
      targets_.push_back(token());
    }
    batch_ = {Tensor(ids_.data(), {B, T}), Tensor(targets_.data(), {B, T})};
  }

  void run(Schedule schedule = Schedule::tbb) {
    tape_.set_schedule(schedule);
    training_step(model_, optimizer_, tape_, std::span(&batch_, 1),
                  {.step = ++step_, .lr = 1e-4f, .max_norm = 1});
  }

  void profile_into(Profile* profile) { tape_.profile_into(profile); }
  const Graph& graph() const { return tape_.graph(); }  // the graph of the last step

 private:
  GPT2 model_;
  AdamW optimizer_;
  Tape tape_;
  std::vector<std::int32_t> ids_, targets_;
  MicroBatch batch_;
  std::int64_t step_ = 0;
};

}  // namespace inkling::bench
