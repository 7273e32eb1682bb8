// The built-in recipes of `inkling verify`: small trainings whose result is known to the last bit.
//
// Together the recipes use every f32 kernel of training and generation with sizes that leave tails, both
// optimisers, all schedules, masks of losses and of documents, gradient accumulation, and all settings of the
// sampler. A recipe needs no files: its token ids come from the random numbers of core/rng.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "core/cpu.h"
#include "nn/gpt2_config.h"
#include "nn/precision.h"
#include "nn/sampler.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "optim/sgd.h"

namespace inkling {

struct Recipe {
  const char* name;
  GPT2Config model;
  std::int64_t B, T;  // the size of a micro-batch
  std::int64_t steps;
  std::int64_t micro_batches = 1;  // in a step
  LearningRateDecay schedule = LearningRateDecay::cosine;
  std::variant<AdamWSettings, SgdSettings> optimizer = AdamWSettings{};
  bool loss_mask = false;  // some targets do not count
  bool documents = false;  // rows hold several documents that do not see each other
  bool recompute = false;  // backward computes activations a second time
  Precision precision = Precision::f32;
  SamplerSettings sampler = {.temperature = 0.8f, .top_p = 0.95f};  // of the generated texts
};

std::span<const Recipe> recipes();

// Runs a recipe on kernels(): trains, validates and generates. Returns the hash of all results as 16
// hexadecimal digits.
std::string run_recipe(const Recipe& recipe);

// The name of the arithmetic that the kernels of an instruction set use: "fused" with a fused multiply-add
// and "unfused" without; "amx" for bf16 on AMX. A recipe has one hash for each arithmetic.
const char* arithmetic(Isa isa, Precision precision);

}  // namespace inkling
