// Everything that decides how a training run goes. It is written to the run directory as config.json, and a
// resumed run must agree.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "nn/gpt2_config.h"
#include "ops/kernels.h"

namespace inkling {

struct TrainSettings {
  std::string data;       // glob of the training shards; empty: the story corpus
  std::string val_data;   // glob of the validation shards; empty: none
  std::string tokenizer;  // path; empty: samples are printed as token ids
  std::string init;       // checkpoint to start from; empty: random weights
  GPT2Config model;
  std::int64_t batch_size = 0;  // B, sequences a micro-batch
  std::int64_t seq_len = 0;     // T
  std::int64_t grad_accum = 1;  // micro-batches a step
  std::int64_t steps = 0;
  double lr = 0;
  double min_lr = 0;
  std::int64_t warmup = 0;
  std::string schedule;
  std::string optimizer = "adamw";  // or sgd
  double momentum = 0.9;            // of sgd
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double grad_clip = 1.0;  // 0: off
  bool shuffle = true;
  std::uint64_t seed = 42;
  std::string precision = "f32";
  bool recompute = false;  // activations once more in backward instead of kept
  std::int64_t val_every = 0;
  std::int64_t val_batches = 0;
  std::int64_t sample_every = 0;
  std::int64_t save_every = 0;

  bool stories() const { return data.empty(); }
  std::int64_t tokens_per_step() const { return batch_size * seq_len * grad_accum; }
};

// The shards of a run. A glob that matches training and validation shards alike (*.bin) is told apart by
// names: what has "_val" in its name is for validation.
std::vector<std::string> training_shards(const TrainSettings& settings);
std::vector<std::string> validation_shards(const TrainSettings& settings);  // empty: none

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GPT2Config, max_seq_len, vocab_size, layers, heads, channels)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TrainSettings, data, val_data, tokenizer, init, model,
                                                batch_size, seq_len, grad_accum, steps, lr, min_lr, warmup,
                                                schedule, optimizer, momentum, weight_decay, beta1, beta2,
                                                eps, grad_clip, shuffle, seed, precision, recompute,
                                                val_every, val_batches, sample_every, save_every)

// What the command line says, only what the user gave, laid out as in config.json: {"batch_size": 8, "model":
// {"layers": 2}}.
struct TrainFlags {
  nlohmann::json given = nlohmann::json::object();
  std::string model_name;  // --model gpt2:d12; empty: none
};

// Fills in what the flags leave open with what suits the model, the data and the instruction set. UsageError,
// naming the flag, when something cannot be.
TrainSettings resolve(const TrainFlags& flags, Isa isa = kernels().isa);

// The settings of a saved run with the flags of the command line that resumes it. UsageError if a flag
// contradicts what decides the weights; how often to validate, sample and save may change, and so may the
// number of steps.
TrainSettings resolve_resumed(const nlohmann::json& saved, const TrainFlags& flags, const std::string& path);

}  // namespace inkling
