#include "apps/run/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "apps/ranks/agreement.h"
#include "apps/ranks/optimizer_state.h"
#include "apps/run/data_files.h"
#include "apps/run/format.h"
#include "apps/run/perplexity.h"
#include "apps/run/progress.h"
#include "apps/run/state_file.h"
#include "apps/run/strict_json.h"
#include "apps/run/terminal_text.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "core/ranks/collectives.h"
#include "nn/checkpoint.h"
#include "nn/generate.h"
#include "nn/layer_norms.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "optim/sgd.h"

namespace inkling {

using nlohmann::json;

namespace {

// kSampleStream: the sample after step n uses the random stream kSampleStream + n.
constexpr std::uint64_t kSampleStream = 1'000'000;
constexpr std::int64_t kSampleTokens = 160;
constexpr const char *kStoryTrain = "/stories_train.bin", *kStoryVal = "/stories_val.bin";

std::unique_ptr<Optimizer> make_optimizer(const TrainSettings& s,
                                          const std::vector<ParameterSegment>& segments) {
  if (s.optimizer == "sgd") {
    return std::make_unique<Sgd>(segments,
                                 SgdSettings{.momentum = s.momentum, .weight_decay = s.weight_decay});
  }
  return std::make_unique<AdamW>(
      segments,
      AdamWSettings{.beta1 = s.beta1, .beta2 = s.beta2, .eps = s.eps, .weight_decay = s.weight_decay});
}

LearningRateSchedule schedule(const TrainSettings& s) {
  return {.decay = parse_learning_rate_decay(s.schedule),
          .lr = s.lr,
          .min_lr = s.min_lr,
          .warmup_steps = s.warmup,
          .steps = s.steps};
}

}  // namespace

Trainer::Trainer(const TrainSettings& settings, RunDirectory& directory)
    : Trainer(settings, &directory, only_rank()) {}

Trainer::Trainer(const TrainSettings& settings, RunDirectory* directory, Ranks& ranks)
    : settings_(settings),
      ranks_(ranks),
      directory_(directory),
      parts_(parts_of_rank(settings.replicas, ranks.rank(), ranks.size())) {
  open_data();
  if (ranks_.size() > 1) expect_same(ranks_, "the data", data_text());
  const Shape batch{settings_.batch_size, settings_.seq_len}, part{part_rows(), settings_.seq_len};
  check_step_tokens(batch.numel(), settings_.grad_accum);
  const std::int64_t micro_batches = parts_.size() * settings_.grad_accum;
  inputs_.resize(static_cast<std::size_t>(std::max(part.numel() * micro_batches, batch.numel())));
  targets_.resize(inputs_.size());
  if (settings_.document_mask) positions_.resize(inputs_.size());
  token_losses_.resize(static_cast<std::size_t>(batch.numel()));
  places_.resize(static_cast<std::size_t>(micro_batches));
  for (std::int64_t i = 0; i < micro_batches; ++i) micro_batches_.push_back(rows(i * part.numel(), part));
}

// The names and the checksums of the training and of the validation shards, one on each line.
std::string Trainer::data_text() const {
  std::string text;
  const auto add = [&](const Batches& batches) {
    for (const ShardId& id : batches.shard_ids())
      text += str(id.file, " ", id.checksum, id.mask, id.starts, "\n");
  };
  add(batches_.front());
  if (validation_batches_) add(*validation_batches_);
  return text;
}

// The tokens from `first` on, as a batch of this shape.
MicroBatch Trainer::rows(std::int64_t first, Shape shape) {
  return {Tensor(inputs_.data() + first, shape), Tensor(targets_.data() + first, shape),
          positions_.empty() ? Tensor() : Tensor(positions_.data() + first, shape)};
}

// Rank 0 writes the stories into its run directory. Ranks that do not see this directory, because they run on
// another machine, write the same stories into a temporary directory of their own.
std::string Trainer::write_stories() {
  std::string dir;
  const auto there = [&] {
    return std::filesystem::exists(dir + kStoryTrain) && std::filesystem::exists(dir + kStoryVal);
  };
  const auto write = [&] { write_story_corpus(dir, kStoryTrainTokens, kStoryValTokens, settings_.seed); };
  together(ranks_, [&] {
    if (directory_ == nullptr) return;
    dir = directory_->file("data");
    // If the directory has shards of stories but no run, the shards may come from a run with another seed. So
    // generate them again.
    if (!there() || !directory_->has_run()) write();
  });
  dir = broadcast_text(ranks_, dir);
  if (there()) return dir;
  dir = str(std::filesystem::temp_directory_path().string(), "/inkling_stories_", getpid());
  write();
  return dir;
}

void Trainer::open_data() {
  std::vector<std::string> training, validation;
  std::string stories;
  if (settings_.stories()) {
    stories = write_stories();
    training = {stories + kStoryTrain};
    validation = {stories + kStoryVal};
    tokenizer_ = story_tokenizer();
  } else {
    training = training_shards(settings_);
    validation = validation_shards(settings_);
    if (!settings_.tokenizer.empty()) tokenizer_ = Tokenizer::read(settings_.tokenizer);
  }
  if (tokenizer_) tokenizer_->check_vocabulary(settings_.init, settings_.model.vocab_size);
  BatchSettings batch{.B = settings_.batch_size,
                      .T = settings_.seq_len,
                      .vocab_size = settings_.model.vocab_size,
                      .shuffle = settings_.shuffle,
                      .seed = shuffle_seed(settings_.seed),
                      .parts = settings_.replicas,
                      // A row of stories starts at the beginning of a story, which is shorter than T.
                      .align_documents = settings_.stories(),
                      .document_mask = settings_.document_mask,
                      .end_of_text = end_of_text(tokenizer_, settings_.model.vocab_size),
                      .loss_mask = settings_.loss_mask ? LossMask::use : LossMask::ignore};
  for (batch.part = parts_.begin; batch.part < parts_.end; ++batch.part)
    batches_.emplace_back(training, batch);
  if (!validation.empty() && settings_.val_every > 0) {
    batch.shuffle = false;
    batch.parts = 1, batch.part = 0;
    validation_batches_.emplace(validation, batch);
    if (settings_.stories()) story_nats_ = story_nats(validation_batches_->shards().front().tokens());
  }
  // The files are removed, but this process can still read them, because they are open.
  if (directory_ == nullptr && stories.starts_with(std::filesystem::temp_directory_path().string()))
    std::filesystem::remove_all(stories);
}

void Trainer::adopt(GPT2 model) {
  model_.emplace(std::move(model));
  broadcast_bytes(ranks_, std::as_writable_bytes(model_->parameters().values()));
  model_->set_precision(parse_precision(settings_.precision, Recording::on), Recording::on);
  model_->set_recompute(settings_.recompute);
  const std::vector<ParameterSegment> all = segments_of(model_->parameters().table());
  if (settings_.local_steps > 0) {
    local_steps_.emplace(
        ranks_, settings_.replicas, *model_,
        LocalStepsSettings{.steps = settings_.local_steps,
                           .sent_as = settings_.local_steps_dtype == "bf16" ? DType::bf16 : DType::f32,
                           .outer_lr = settings_.outer_lr,
                           .outer_momentum = settings_.outer_momentum},
        [&] { return make_optimizer(settings_, all); });
    return;
  }
  if (settings_.replicas > 1) replicas_.emplace(ranks_, settings_.replicas, *model_);
  optimizer_ = make_optimizer(settings_, replicas_ ? replicas_->segments() : all);
}

RunState Trainer::optimizer_state() {
  if (local_steps_) return local_steps_->state();
  return replicas_ ? state_in_shares(*optimizer_, ranks_, replicas_->shares()) : whole_state(*optimizer_);
}

std::span<const float> Trainer::weights() {
  return local_steps_ ? local_steps_->shared_weights() : model_->parameters().values();
}

void Trainer::start() {
  GPT2 model(settings_.model);
  together(ranks_, [&] {
    if (directory_ == nullptr) return;
    if (settings_.init.empty()) {
      model.initialise(settings_.seed);
    } else {
      model = load_model(settings_.init);
      expect_finite(model, settings_.init);
    }
  });
  adopt(std::move(model));
  if (directory_ != nullptr) directory_->remove_unfinished();
}

// Rank 0 looks for a checkpoint and loads its model. Error if the run cannot continue from it.
std::optional<RunDirectory::Checkpoint> Trainer::load_checkpoint(
    GPT2& model, const std::function<void(const std::string&)>& report) {
  auto checkpoint = directory_->newest_checkpoint(report);
  if (!checkpoint) {
    const std::string result = directory_->file("model.bin");
    if (std::filesystem::exists(result)) {
      fail(directory_->file("checkpoints"),
           ": the run has a trained model, but no checkpoint to continue from; "
           "to train this model further, use --init ",
           result, " and another --out");
    }
    report(directory_->file("checkpoints") + ": has no checkpoint yet; the run starts again from step 0");
    return std::nullopt;
  }
  if (checkpoint->step > settings_.steps) {
    throw UsageError(str("--steps is ", settings_.steps, ", but the run has already taken ", checkpoint->step,
                         " steps, expected at least as many"));
  }
  model = load_model(checkpoint->directory + "/model.bin");
  if (!(model.config() == settings_.model)) {
    fail(checkpoint->directory,
         ": the model's dimensions differ from config.json, expected the same dimensions");
  }
  return checkpoint;
}

void Trainer::resume(const std::function<void(const std::string&)>& report) {
  std::optional<RunDirectory::Checkpoint> checkpoint;
  GPT2 saved(settings_.model);
  together(ranks_, [&] {
    if (directory_ != nullptr) checkpoint = load_checkpoint(saved, report);
  });
  const std::int64_t step = gather(ranks_, checkpoint ? checkpoint->step : std::int64_t{-1}).front();
  if (step < 0) {
    start();
    if (directory_ != nullptr) directory_->drop_metrics_after(-1);
    return;
  }
  adopt(std::move(saved));
  step_ = step;
  const std::string folder = checkpoint ? checkpoint->directory : "";
  if (directory_ == nullptr) {
    receive_state(optimizer_state(), ranks_);
  } else {
    load_state(folder + "/optimizer.bin", optimizer_state(), ranks_);
  }
  if (local_steps_) local_steps_->state_loaded();
  together(ranks_, [&] { go_to(folder + "/state.json"); });
  if (directory_ == nullptr) return;
  directory_->remove_unfinished();
  directory_->drop_metrics_after(step_);
  for (const json& line : directory_->read_metrics()) {
    if (line.contains("loss")) losses_.emplace_back(line["step"], line["loss"]);
    if (!line.contains("val_loss")) continue;
    Validation v{.step = line["step"], .loss = line["val_loss"]};
    if (line.contains("min_over_rows")) {
      v.min_over_rows = line["min_over_rows"].get<double>();
      v.min_over_stories = line["min_over_stories"].get<double>();
    }
    validations_.push_back(v);
  }
}

// Continues the training data of each part. Rank 0 has part 0, whose position is in a checkpoint's
// state.json; the other parts have taken as many batches.
void Trainer::go_to(const std::string& path) {
  const std::int64_t expected = step_ * settings_.grad_accum;
  for (std::size_t i = directory_ == nullptr ? 0 : 1; i < batches_.size(); ++i) batches_[i].go_to(expected);
  if (directory_ == nullptr) return;
  const json state = read_json(path);
  const BatchPosition position = state_from_json(state, path);
  validation_shards_ = validation_from_json(state, path);
  try {
    const std::int64_t taken = batches_.front().batches_before(position);
    if (taken != expected)
      fail("the saved position comes after ", taken, " batches, expected ", expected, " at step ", step_);
    batches_.front().set_state(position);
    if (validation_batches_ && !validation_shards_.empty())
      expect_same_contents(validation_shards_, validation_batches_->shards());
  } catch (const Error& error) {
    fail(path, ": ", error.what());
  }
}

void Trainer::watch(ProfileReport& report) {
  report_ = &report;
  tape_.profile_into(&report.profile());
}

void Trainer::stop_diverged(const std::string& what, const std::string& details) const {
  const std::string good = directory_ == nullptr ? "" : directory_->last_checkpoint();
  throw Diverged(str("diverged: ", what, ", expected a finite number: try a lower --lr; ",
                     good.empty() ? "there is no checkpoint" : "the last good checkpoint is " + good,
                     details));
}

// Reads the micro-batches of a training step and takes the step.
StepResult Trainer::train_step(float lr) {
  for (std::size_t i = 0; i < micro_batches_.size(); ++i) {
    const MicroBatch& batch = micro_batches_[i];
    Batches& part = batches_[i / static_cast<std::size_t>(settings_.grad_accum)];
    const ProfileScope scope(profile(), Phase::data, "batch", batch.ids.shape());
    part.next(batch.ids.i32(), batch.targets.i32(), batch.positions ? batch.positions.i32() : nullptr);
    places_[i] = part.place();
  }
  const StepSettings step{.step = step_ + 1, .lr = lr, .max_norm = settings_.grad_clip};
  try {
    if (local_steps_) return local_steps_->step(tape_, micro_batches_, step);
    return replicas_ ? replicas_->step(*optimizer_, tape_, micro_batches_, step)
                     : training_step(*model_, *optimizer_, tape_, micro_batches_, step);
  } catch (const Diverged& error) {
    std::string read;
    for (const Batches::Place& place : places_)
      read += str(read.empty() ? "" : "; ", batches_.front().describe(place));
    std::string all;
    for (const std::string& one : gather_texts(ranks_, read)) all += (all.empty() ? "" : "; ") + one;
    stop_diverged(error.what(), str(" (the step read ", all, ")"));
  }
}

// Computes the loss of each token of a batch of the validation. Each part has its rows, as in training.
void Trainer::token_losses() {
  const Shape part{part_rows(), settings_.seq_len};
  for (std::int64_t p = parts_.begin; p < parts_.end; ++p) {
    const std::int64_t first = p * part.numel();
    const auto [ids, targets, positions] = rows(first, part);
    inference_tape_.clear();
    model_->token_losses(inference_tape_, ids, targets, token_losses_.data() + first, positions);
  }
  std::vector<std::int64_t> sizes;
  for (int rank = 0; rank < ranks_.size(); ++rank)
    sizes.push_back(parts_of_rank(settings_.replicas, rank, ranks_.size()).size() * part.numel() *
                    std::int64_t{sizeof(float)});
  gather_bytes(ranks_, std::as_writable_bytes(std::span(token_losses_)), sizes);
}

// The norm of each layer in the gradient of the last step, before clipping. All ranks call it together.
std::vector<double> Trainer::gradient_norms() {
  if (local_steps_) return local_steps_->gradient_norms();
  return replicas_ ? replicas_->gradient_norms()
                   : norms_by_layer(model_->parameters(), model_->parameters().gradients());
}

// Adds to a line of metrics, for each layer, the norm of its weights after the step and the norm of the
// step's gradient. There is no gradient before the first step, or after a step without targets.
void Trainer::add_norms(json& line) {
  const std::vector<std::string> parts = part_names(settings_.model.layers);
  const auto add = [&](const std::string& prefix, const std::vector<double>& norms) {
    for (std::size_t part = 0; part < parts.size(); ++part) line[prefix + parts[part]] = norms[part];
  };
  add("weight_norm_", norms_by_layer(model_->parameters(), model_->parameters().values()));
  const bool has_gradient = !losses_.empty() && losses_.back().first == step_;
  if (has_gradient) add("grad_norm_", gradient_norms());
}

void Trainer::validate() {
  const auto [ids, targets, positions] = rows(0, {settings_.batch_size, settings_.seq_len});
  double loss = 0, row_nats = 0;
  std::int64_t tokens = 0;
  validation_batches_->rewind();
  const std::int64_t batches = std::min(settings_.val_batches, validation_batches_->epoch_batches());
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    validation_batches_->next(ids.i32(), targets.i32(), positions ? positions.i32() : nullptr);
    token_losses();
    for (std::size_t i = 0; i < token_losses_.size(); ++i) {
      if (targets_[i] < 0) continue;
      loss += token_losses_[i];
      ++tokens;
      if (story_nats_.empty()) continue;
      const std::size_t T = static_cast<std::size_t>(settings_.seq_len), row = i / T;
      const std::int64_t input = validation_batches_->rows()[row].first + static_cast<std::int64_t>(i % T);
      row_nats += story_nats_[static_cast<std::size_t>(target_of(input))];
    }
  }
  if (tokens == 0) {
    fail("validation: the loss mask leaves out every target of the first ", batches,
         " batches, expected at least one target that counts; a larger --val-batches reads more batches");
  }
  Validation v{.step = step_, .loss = loss / static_cast<double>(tokens)};
  if (!std::isfinite(v.loss))
    stop_diverged(
        str("the validation loss is ", std::isnan(v.loss) ? "nan" : "infinite", " at step ", step_));
  json line = {{"step", step_}, {"val_loss", v.loss}, {"val_perplexity", perplexity(v.loss)}};
  if (!story_nats_.empty()) {
    v.min_over_rows = line["min_over_rows"] = row_nats / static_cast<double>(tokens);
    v.min_over_stories = line["min_over_stories"] =
        std::accumulate(story_nats_.begin(), story_nats_.end(), 0.0) /
        static_cast<double>(story_nats_.size());
  }
  add_norms(line);
  if (directory_ != nullptr) directory_->append_metrics(line);
  validations_.push_back(v);
}

std::string Trainer::sample(std::int64_t tokens) {
  GenerateSettings generation;
  generation.max_tokens = tokens;
  generation.sampler.temperature = 0.8f;
  generation.stop_token = end_of_text(tokenizer_, settings_.model.vocab_size);
  Rng rng(settings_.seed, kSampleStream + static_cast<std::uint64_t>(step_));
  std::string text;
  const auto append = [&](std::int32_t id) {
    text += tokenizer_ ? tokenizer_->decode(std::span(&id, 1)) : str(text.empty() ? "" : " ", id);
    return true;
  };
  const Batches& data = validation_batches_ ? *validation_batches_ : batches_.front();
  const std::vector<std::int32_t> prompt =
      sample_prompt(data.shards().front(), generation.stop_token, settings_.seq_len - 1);
  std::for_each(prompt.begin() + 1, prompt.end(), append);  // the prompt begins with end-of-text
  generate(*model_, prompt, generation, rng, append);
  return text;
}

// A checkpoint with weights that are not finite would be useless, and would replace a good one. With local
// steps, each rank has other weights.
void Trainer::expect_finite_weights() {
  std::string odd;
  for (const float w : model_->parameters().values()) {
    if (!std::isfinite(w)) odd = std::isnan(w) ? "nan" : "infinite";
  }
  if (!any(ranks_, !odd.empty())) return;
  for (const std::string& one : gather_texts(ranks_, odd)) {
    if (!one.empty()) stop_diverged(str("a weight is ", one, " after step ", step_));
  }
}

void Trainer::save() {
  expect_finite_weights();
  bool writes = false;
  const auto tell_others = [&](bool now) { writes = any(ranks_, now); };
  if (directory_ == nullptr) {
    tell_others(false);
    if (writes) send_state(optimizer_state(), ranks_);
    return;
  }
  directory_->commit_checkpoint(step_, [&](const std::string& into) {
    tell_others(true);
    // commit_checkpoint() syncs the directory, once.
    save_model(into + "/model.bin", model_->config(), weights(), DType::f32, FolderSync::by_caller);
    save_state(into + "/optimizer.bin", optimizer_state(), ranks_);
    if (validation_batches_) validation_shards_ = validation_batches_->shard_ids();
    write_json(into + "/state.json", state_to_json(batches_.front().state(), validation_shards_),
               FolderSync::by_caller);
  });
  if (!writes) tell_others(false);  // the directory already has this checkpoint
}

bool Trainer::run(const std::function<bool()>& stop_requested) {
  Progress progress(settings_.steps, settings_.tokens_per_step());
  const auto due = [&](std::int64_t every) {
    return every > 0 && (step_ % every == 0 || step_ == settings_.steps);
  };
  const auto report_validation = [&] {
    if (directory_ == nullptr) return;
    const Validation& v = validations_.back();
    std::string line = str("  step ", step_, ": validation loss ", format_fixed(v.loss, 4), ", perplexity ",
                           format_fixed(perplexity(v.loss), 2));
    if (v.min_over_rows) {
      line += str("\n    ", format_fixed(v.percent_above_min_over_rows(), 1),
                  "% above the minimum over rows, ", format_fixed(*v.min_over_rows, 4),
                  " (over whole stories ", format_fixed(*v.min_over_stories, 4), ")");
    }
    progress.note(line);
  };
  if (step_ == 0 && validation_batches_) {
    validate();
    report_validation();
  }
  while (step_ < settings_.steps) {
    const auto start = std::chrono::steady_clock::now();
    if (report_ != nullptr) report_->begin_step(step_ + 1);
    const float lr = learning_rate(schedule(settings_), step_);
    const StepResult result = train_step(lr);
    ++step_;
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (report_ != nullptr) report_->end_step();
    json line = {{"step", step_},
                 {"lr", static_cast<double>(lr)},
                 {"ms", ms},
                 {"tokens_per_s", static_cast<double>(settings_.tokens_per_step()) / ms * 1000.0}};
    if (result.counted > 0) {  // otherwise the step has no loss
      losses_.emplace_back(step_, result.loss);
      line["loss"] = result.loss, line["grad_norm"] = result.grad_norm;
    }
    if (directory_ != nullptr) {
      directory_->append_metrics(line);
      progress.update(step_, losses_.empty() ? 0.0 : losses_.back().second, ms);
    }
    if (validation_batches_ && due(settings_.val_every)) {
      validate();
      report_validation();
    }
    if (directory_ != nullptr && due(settings_.sample_every)) {
      const std::string text = sample(kSampleTokens);
      directory_->write_sample(step_, text + "\n");
      progress.note("  the model writes: " + terminal_text(terminal(STDERR_FILENO), text));
    }
    const bool stop = any(ranks_, stop_requested());
    if (due(settings_.save_every) || stop) save();
    if ((validation_batches_ && due(settings_.val_every)) || due(settings_.sample_every) ||
        due(settings_.save_every))
      after_milestone_();
    if (stop && step_ < settings_.steps) return false;
  }
  expect_finite_weights();
  if (directory_ == nullptr) return true;
  directory_->sync_metrics();
  save_model(directory_->file("model.bin"), model_->config(), model_->parameters().values());
  if (tokenizer_) tokenizer_->write(directory_->file("tokenizer.bin"));
  return true;
}

}  // namespace inkling
