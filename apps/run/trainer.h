// Trainer: the training loop. It repeats: predict, measure the error, adjust the weights.
//
//   batch -> loss -> backward -> clip -> optimiser -> metrics
//
// After some steps the loop also validates, writes a sample and saves a checkpoint. The result of a step
// depends only on the settings, not on the number of threads or on interruptions. A run that was interrupted
// and resumed ends with the same bytes in model.bin as a run without interruptions.
//
// A run may have several ranks (core/ranks/ranks.h), and each rank has its own Trainer. All of them do the
// same things in the same order, each with its own parts of the batches (apps/ranks/parts.h). Rank 0 alone
// has a run directory, writes samples, and reports progress.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/ranks/local_steps.h"
#include "apps/ranks/replicated_step.h"
#include "apps/run/profile_report.h"
#include "apps/run/run_directory.h"
#include "apps/run/train_settings.h"
#include "apps/run/training_step.h"
#include "apps/text/batches.h"
#include "apps/tokenizer/tokenizer.h"
#include "nn/gpt2.h"
#include "optim/optimizer.h"

namespace inkling {

struct Validation {
  std::int64_t step = 0;
  double loss = 0;  // mean over the targets of the validation's rows of T tokens
  // The theoretical minima (apps/text/stories.h), known for stories only: the mean of the exact -log p over
  // the same targets, and over the validation shard's whole stories. Compare the loss with the first of the
  // two.
  std::optional<double> min_over_rows = {}, min_over_stories = {};
  double percent_above_min_over_rows() const { return 100.0 * (loss / *min_over_rows - 1.0); }
};

class Trainer {
 public:
  // Opens the training data. The run's files are written into `directory`. `settings` come from resolve() or
  // resolve_resumed(). Call start() or resume() next, to create the model.
  Trainer(const TrainSettings& settings, RunDirectory& directory);
  // The same for a run of several ranks; `directory` is nullptr on all ranks but rank 0. All ranks construct
  // their trainers at the same time.
  Trainer(const TrainSettings& settings, RunDirectory* directory, Ranks& ranks);

  void start();  // creates the model, with the weights of settings.init or random weights
  // Continues from the newest undamaged checkpoint. If there is none, starts again from step 0. Calls
  // `report` with a message for each damaged checkpoint, and if the run starts again. UsageError if the run
  // has already taken more than settings.steps steps.
  void resume(const std::function<void(const std::string&)>& report);

  // After watch(), every training step is added to `report`.
  void watch(ProfileReport& report);

  // run() calls `call` after each validation, sample or checkpoint.
  void after_milestone(std::function<void()> call) { after_milestone_ = std::move(call); }

  // Trains until the last step, or until stop_requested() returns true on any rank. After stop_requested(),
  // the current step is finished and saved. Returns true if the run is complete.
  bool run(const std::function<bool()>& stop_requested);

  std::int64_t step() const { return step_; }
  const std::vector<Validation>& validations() const { return validations_; }
  const std::vector<std::pair<std::int64_t, double>>& losses() const { return losses_; }

  // Returns a text that the model writes at temperature 0.8. If the data has a loss mask, the text begins
  // with the tokens before the first target that counts: a question, which the model answers. The random
  // numbers depend only on the seed and the step.
  std::string sample(std::int64_t tokens);

 private:
  void open_data();
  std::string write_stories();
  std::string data_text() const;
  MicroBatch rows(std::int64_t first, Shape shape);
  void adopt(GPT2 model);
  std::optional<RunDirectory::Checkpoint> load_checkpoint(
      GPT2& model, const std::function<void(const std::string&)>& report);
  void go_to(const std::string& path);
  std::int64_t part_rows() const { return settings_.batch_size / settings_.replicas; }
  RunState optimizer_state();
  // The weights of checkpoints. With local steps, the model may have the weights of one replica.
  std::span<const float> weights();
  Profile* profile() { return report_ == nullptr ? nullptr : &report_->profile(); }
  StepResult train_step(float lr);
  void validate();
  void add_norms(nlohmann::json& line);
  void token_losses();
  std::vector<double> gradient_norms();
  void expect_finite_weights();
  void save();
  // Throws Diverged. `what` says what is not finite, and at which step.
  [[noreturn]] void stop_diverged(const std::string& what, const std::string& details = "") const;

  TrainSettings settings_;
  Ranks& ranks_;
  RunDirectory* directory_;  // nullptr on ranks other than 0
  PartRange parts_;          // the parts of this rank
  std::optional<Tokenizer> tokenizer_;
  std::optional<GPT2> model_;
  std::vector<Batches> batches_;  // one for each part of this rank
  std::optional<Batches> validation_batches_;
  std::vector<ShardId> validation_shards_;  // as last used, by this run or by the run that it resumes
  std::vector<float> story_nats_;           // the exact -log p of each validation token; empty if not known
  std::optional<LocalSteps> local_steps_;   // empty without --local-steps
  std::optional<Replicas> replicas_;        // empty with --local-steps, and if the run has only one part
  std::unique_ptr<Optimizer> optimizer_;    // nullptr with --local-steps
  ProfileReport* report_ = nullptr;
  std::function<void()> after_milestone_ = [] {};
  Tape tape_;
  Tape inference_tape_{Recording::off};
  // The tokens of all micro-batches of this rank's parts in a step, or of a whole batch of a validation.
  // positions_ is empty without --document-mask.
  std::vector<std::int32_t> inputs_, targets_, positions_;
  std::vector<MicroBatch> micro_batches_;  // views of these vectors: the micro-batches of the first part,
                                           // then of the second part, ...
  std::vector<Batches::Place> places_;     // the places in the shards of each micro-batch
  std::vector<float> token_losses_;
  std::int64_t step_ = 0;
  std::vector<Validation> validations_;
  std::vector<std::pair<std::int64_t, double>> losses_;
};

}  // namespace inkling
