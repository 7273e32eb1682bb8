// The training loop: predict, measure, adjust, again.
//
//   batch -> loss -> backward -> clip -> optimiser -> metrics
// and now and then: validate, write a sample, save. What a step computes depends on the settings alone: not
// on the number of threads, not on interruptions. A run that was stopped anywhere and resumed ends with the
// same bytes in model.bin.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/run/profile_report.h"
#include "apps/run/run_directory.h"
#include "apps/run/train_settings.h"
#include "apps/run/training_step.h"
#include "apps/text/batches.h"
#include "apps/text/tokenizer.h"
#include "nn/gpt2.h"
#include "optim/optimizer.h"

namespace inkling {

struct Validation {
  std::int64_t step = 0;
  double loss = 0;  // mean over the tokens evaluated
  std::optional<double>
      theoretical_min;  // the same mean of the tokens' exact -log p, where the corpus knows it
  double percent_above_min() const { return 100.0 * (loss / *theoretical_min - 1.0); }
};

class Trainer {
 public:
  // Opens the data; writes into `directory`. `settings` come from resolve() or resolve_resumed(). Then one of
  // start() and resume() makes the model.
  Trainer(const TrainSettings& settings, RunDirectory& directory);

  void start();  // with the weights of settings.init, or random ones
  // Goes on from the newest good checkpoint, or starts where there is none; `report` hears of that and of
  // damaged ones. UsageError when the run has taken more steps than it is to have.
  void resume(const std::function<void(const std::string&)>& report);

  // From now on every step is counted into `report`.
  void watch(ProfileReport& report);

  // Trains to the last step, or until stop_requested() turns true (then the step is finished and saved). True
  // when complete.
  bool run(const std::function<bool()>& stop_requested);

  std::int64_t step() const { return step_; }
  const std::vector<Validation>& validations() const { return validations_; }
  const std::vector<std::pair<std::int64_t, double>>& losses() const { return losses_; }

  // Text from the model at temperature 0.8; the same for the same step.
  std::string sample(std::int64_t tokens);

 private:
  void open_data();
  void adopt(GPT2 model);
  void go_to(const std::string& path);
  Profile* profile() { return report_ == nullptr ? nullptr : &report_->profile(); }
  StepResult train_step(float lr);
  void validate();
  void save();

  TrainSettings settings_;
  RunDirectory& directory_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<GPT2> model_;
  std::optional<Batches> batches_;
  std::optional<Batches> validation_batches_;
  std::vector<float> theoretical_min_;  // nats of every token of the validation shard; empty: not known
  std::unique_ptr<Optimizer> optimizer_;
  ProfileReport* report_ = nullptr;
  Tape tape_;
  Tape inference_tape_{Recording::off};
  std::vector<std::int32_t> inputs_, targets_;  // of all micro-batches of a step
  std::vector<MicroBatch> micro_batches_;       // views of these
  std::vector<Batches::Place> places_;          // where each micro-batch was read from
  std::vector<float> token_losses_;
  std::int64_t step_ = 0;
  std::vector<Validation> validations_;
  std::vector<std::pair<std::int64_t, double>> losses_;
};

}  // namespace inkling
