// All settings of a training run. They are saved in the run directory as config.json. A resumed run must have
// the same settings, except for the few settings that resolve_resumed() allows to change.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/preflight/probe.h"
#include "apps/run/training_step.h"
#include "nn/gpt2_config.h"

namespace inkling {

// The sizes of the stories, in tokens. Every run on stories uses these sizes; its seed decides which stories.
inline constexpr std::int64_t kStoryTrainTokens = 4'000'000;
inline constexpr std::int64_t kStoryValTokens = 100'000;

struct TrainSettings {
  std::string data;       // pattern of the training shards; if empty, the run uses the stories
  std::string val_data;   // pattern of the validation shards; if empty, the run has none
  std::string tokenizer;  // path of the tokenizer; if empty, samples are printed as token ids
  std::string init;       // checkpoint to start from; if empty, the weights are random
  GPT2Config model;
  std::int64_t batch_size = 0;  // B, sequences in a micro-batch of the whole run
  std::int64_t replicas = 1;    // R, the parts of a micro-batch (apps/ranks/parts.h)
  std::int64_t seq_len = 0;     // T, tokens in a sequence
  std::int64_t grad_accum = 1;  // micro-batches in a step
  std::int64_t steps = 0;
  double lr = 0;
  double min_lr = 0;
  std::int64_t warmup = 0;
  std::string schedule;
  std::string optimizer = "adamw";  // the optimiser: adamw or sgd
  double momentum = 0.9;            // momentum of sgd
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double grad_clip = 1.0;  // the largest norm of the gradient; 0 means no limit
  // The steps that each replica takes on its own between two outer steps (apps/ranks/local_steps.h); 0: none
  std::int64_t local_steps = 0;
  std::string local_steps_dtype = "f32";  // how the replicas' changes are sent: f32 or bf16
  double outer_lr = 1;                  // learning rate and momentum of the outer step
  double outer_momentum = 0.5;
  bool shuffle = true;
  bool document_mask = false;  // attention and positions do not cross documents
  bool loss_mask = true;       // count only the targets that the shards' loss masks count
  std::uint64_t seed = 42;
  std::string precision = "f32";
  std::string precision_reason;  // why the run chose this precision; empty if the user chose it
  bool recompute = false;        // compute activations a second time in backward instead of storing them
  std::int64_t val_every = 0;
  std::int64_t val_batches = 0;
  std::int64_t sample_every = 0;
  std::int64_t save_every = 0;

  bool stories() const { return data.empty(); }
  std::int64_t tokens_per_step() const { return batch_size * seq_len * grad_accum; }
};

// The range of each setting that is a number, except the model's dimensions (1 to GPT2Config::kMostDim) and
// the seed (any number of 64 bits). `key` is the setting's name in config.json.
template <class T>
struct SettingRange {
  const char* key;
  T TrainSettings::*setting;
  T least, most;
};
inline constexpr std::int64_t kMostCount = std::int64_t{1} << 31;
inline constexpr std::int64_t kMostReplicas = 4096;
inline constexpr SettingRange<std::int64_t> kWholeNumberRanges[] = {
    {"batch_size", &TrainSettings::batch_size, 1, kMostCount},
    {"replicas", &TrainSettings::replicas, 1, kMostReplicas},
    {"seq_len", &TrainSettings::seq_len, 1, kMostCount},
    {"grad_accum", &TrainSettings::grad_accum, 1, kMostStepTokens},
    {"steps", &TrainSettings::steps, 1, kMostCount},
    {"val_batches", &TrainSettings::val_batches, 1, kMostCount},
    {"warmup", &TrainSettings::warmup, 0, kMostCount},
    {"local_steps", &TrainSettings::local_steps, 0, kMostCount},
    {"val_every", &TrainSettings::val_every, 0, kMostCount},
    {"sample_every", &TrainSettings::sample_every, 0, kMostCount},
    {"save_every", &TrainSettings::save_every, 0, kMostCount}};
inline constexpr SettingRange<double> kRealNumberRanges[] = {
    {"lr", &TrainSettings::lr, 0, 1e3},
    {"min_lr", &TrainSettings::min_lr, 0, 1e3},  // and at most lr
    {"momentum", &TrainSettings::momentum, 0, 0.999999},
    {"weight_decay", &TrainSettings::weight_decay, 0, 1e3},
    {"beta1", &TrainSettings::beta1, 0, 0.999999},
    {"beta2", &TrainSettings::beta2, 0, 0.999999},
    {"eps", &TrainSettings::eps, 1e-30, 1},
    {"outer_lr", &TrainSettings::outer_lr, 0, 1e3},
    {"outer_momentum", &TrainSettings::outer_momentum, 0, 0.999999},
    {"grad_clip", &TrainSettings::grad_clip, 0, 1e9}};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GPT2Config, max_seq_len, vocab_size, layers, heads, channels)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TrainSettings, data, val_data, tokenizer, init, model,
                                                batch_size, replicas, seq_len, grad_accum, steps, lr, min_lr,
                                                warmup, schedule, optimizer, momentum, weight_decay, beta1,
                                                beta2, eps, grad_clip, local_steps, local_steps_dtype,
                                                outer_lr, outer_momentum, shuffle, document_mask, loss_mask,
                                                seed, precision, precision_reason, recompute, val_every,
                                                val_batches, sample_every, save_every)

// The flags that the user gave, and no others, in the layout of config.json, for example {"batch_size": 8,
// "model": {"layers": 2}}.
struct TrainFlags {
  nlohmann::json given = nlohmann::json::object();
  std::string model_name;  // the value of --model, for example gpt2:d12; empty without --model
};

// Returns the settings of a new run. Settings without a flag get a default that depends on the model and the
// data; without --precision, `choose` picks it. UsageError, which names the flag, if a value is impossible.
using ChoosePrecision = std::function<PrecisionChoice(const PreflightRequest&)>;
TrainSettings resolve(const TrainFlags& flags, const ChoosePrecision& choose = faster_precision);

// Returns the settings of a resumed run: the saved settings, changed by the flags. A flag may change the
// number of steps, --recompute, how often to validate, sample and save, and the place of the data and the
// tokenizer (Trainer::resume checks that the shards have the same contents). UsageError if a flag changes a
// setting that has an effect on the weights.
TrainSettings resolve_resumed(const nlohmann::json& saved, const TrainFlags& flags, const std::string& path);

}  // namespace inkling
