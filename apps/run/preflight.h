// What a training run would need, before it starts: memory by category, and the time of a step.
//
// Nothing here repeats what the model or the tape know. The step is rehearsed (core/parallel.h): the very
// code that would run it runs, with the loops of its ops doing nothing, so that it asks for all memory and
// touches none, and a Profile hears of every op and the work it would have. Memory is then exact up to what a
// few threads hold at once; time is that work divided by the machine's roof and by how near to it each kind
// of op was seen to come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/profile.h"
#include "nn/gpt2_config.h"
#include "nn/precision.h"
#include "ops/roof/roof.h"

namespace inkling {

struct PreflightRequest {
  GPT2Config model;
  std::int64_t batch_size = 4;
  std::int64_t seq_len = 64;
  std::int64_t grad_accum = 1;
  Precision precision = Precision::f32;
  bool recompute = false;
};

struct Preflight {
  struct Part {
    const char* name;
    std::int64_t bytes;
  };
  std::vector<Part> memory;
  std::int64_t total_bytes() const;

  // An op of the step, all its calls together.
  struct Op {
    Phase phase;
    std::string name;
    std::int64_t calls;
    Work work;
  };
  std::vector<Op> ops;
};

Preflight rehearse(const PreflightRequest& request);

// The most sequences a micro-batch can have with memory for all of it in `available_bytes`; 0 if not even one
// fits.
std::int64_t largest_batch(PreflightRequest request, std::int64_t available_bytes);

// How near to its roof each kind of op is assumed to come: what `inkling train --profile` showed of GPT-2
// 124M.
struct Efficiency {
  const char* what;
  double share;
};
constexpr Efficiency kProducts{"products in f32, of fused multiply-adds", 0.70};
constexpr Efficiency kBf16Products{"products in bf16, of the bf16 roof", 0.22};
constexpr Efficiency kAttention{"attention in f32, of fused multiply-adds", 0.45};
constexpr Efficiency kBf16Attention{"attention in bf16, of the bf16 roof", 0.10};
constexpr Efficiency kPasses{"passes over activations, of the triad", 0.80};
constexpr Efficiency kUpdate{"the optimiser, in place, of the triad", 1.40};
constexpr Efficiency kReading{"generating, of reading", 0.90};
constexpr Efficiency kEfficiencies[] = {kProducts, kBf16Products, kAttention, kBf16Attention,
                                        kPasses,   kUpdate,       kReading};
// Time is within this factor of the truth, up or down, if nothing else uses the machine.
constexpr double kTimeFactor = 1.5;

double predicted_seconds(const Preflight& preflight, const Roof& roof);
// Of generating one token: every weight is read once.
double predicted_token_seconds(const PreflightRequest& request, const Roof& roof);

}  // namespace inkling
