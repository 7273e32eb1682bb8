// One step as apps/run/trainer.cc takes it, on tokens drawn at random: forward, backward, norm, AdamW.
#pragma once

#include <vector>

#include "core/rng.h"
#include "nn/gpt2.h"
#include "optim/adamw.h"
#include "optim/clip.h"

namespace inkling::bench {

class TrainingStep {
 public:
  TrainingStep(const GPT2Config& config, std::int64_t B, std::int64_t T, Precision precision)
      : model_(config),
        optimizer_(segments_of(model_.parameters().table()), AdamWSettings{}),
        shape_({B, T}) {
    model_.initialise(1);
    model_.set_precision(precision, Recording::on);
    Rng rng(2);
    const auto token = [&] {
      return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocab_size)));
    };
    for (std::int64_t i = 0; i < B * T; ++i) {
      inputs_.push_back(token());
      targets_.push_back(token());
    }
  }

  void run(Schedule schedule = Schedule::tbb) {
    tape_.clear();
    const Tensor loss = model_.loss(tape_, Tensor(inputs_.data(), shape_), Tensor(targets_.data(), shape_));
    schedule == Schedule::tbb ? tape_.backward(loss) : tape_.backward_serial(loss);
    const auto gradients = model_.parameters().gradients();
    double norm = 0;
    {
      const ProfileScope scope(profile_, Phase::update, "gradient norm");
      norm = global_norm(gradients.data(), std::ssize(gradients));
    }
    const ProfileScope scope(profile_, Phase::update, optimizer_.name());
    optimizer_.step(
        model_.parameters().values().data(), gradients.data(), ++step_, 1e-4f, clip_factor(norm, 1.0),
        [this](std::int64_t offset, std::int64_t count) { model_.weights_changed(offset, count); });
  }

  void profile_into(Profile* profile) {
    profile_ = profile;
    tape_.profile_into(profile);
  }
  const Graph& graph() const { return tape_.graph(); }  // of the last step

 private:
  GPT2 model_;
  AdamW optimizer_;
  Tape tape_;
  Profile* profile_ = nullptr;
  std::vector<std::int32_t> inputs_, targets_;
  Shape shape_;
  std::int64_t step_ = 0;
};

}  // namespace inkling::bench
