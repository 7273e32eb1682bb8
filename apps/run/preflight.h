// Preflight: predicts what a training run needs before it starts: memory by category, and the time of a step.
//
// This file does not repeat the formulas of the model or of the tape. It rehearses a step instead (Rehearsal
// in core/parallel.h): the real code of a step runs, but the loops inside its ops do nothing. So the step
// allocates all its memory without writing to it, and a Profile records every op with its work. The predicted
// memory is exact, except for the scratch memory of threads, which is an estimate. The predicted time is the
// work of each op, divided by the machine's peak speed (the roof) and by the share of this peak that the same
// kind of op reached in measurements.
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

  // An op of the training step; `work` is the sum over all calls of this op.
  struct Op {
    Phase phase;
    std::string name;
    std::int64_t calls;
    Work work;
  };
  std::vector<Op> ops;
};

Preflight rehearse(const PreflightRequest& request);

// Returns the largest number of sequences in a micro-batch for which the run fits into `available_bytes`; 0
// if not even one sequence fits.
std::int64_t largest_batch(PreflightRequest request, std::int64_t available_bytes);

// The share of the machine's peak speed that the prediction assumes for a kind of op. The shares were
// measured with `inkling train --profile` on GPT-2 124M.
struct Efficiency {
  const char* what;
  double share;
};
constexpr Efficiency kProducts{"f32 products: share of the f32 peak", 0.70};
constexpr Efficiency kBf16Products{"bf16 products: share of the bf16 peak", 0.22};
constexpr Efficiency kAttention{"f32 attention: share of the f32 peak", 0.45};
constexpr Efficiency kBf16Attention{"bf16 attention: share of the bf16 peak", 0.10};
constexpr Efficiency kPasses{"activations: share of the triad's speed", 0.80};
constexpr Efficiency kUpdate{"optimiser: share of the triad's speed", 1.40};
constexpr Efficiency kReading{"generating: share of the reading speed", 0.90};
constexpr Efficiency kEfficiencies[] = {kProducts, kBf16Products, kAttention, kBf16Attention,
                                        kPasses,   kUpdate,       kReading};
// If nothing else uses the machine, the real time is at most kTimeFactor times longer or shorter than
// predicted.
constexpr double kTimeFactor = 1.5;

double predicted_seconds(const Preflight& preflight, const Roof& roof);
// Returns the time of generating one token. Every weight is read once, but only one row of wpe.
double predicted_token_seconds(const PreflightRequest& request, const Roof& roof);

}  // namespace inkling
