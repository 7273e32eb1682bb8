// Preflight: predicts what a training run needs before it starts: memory by category, and the time of a step.
//
// This file does not repeat the formulas of the model or of the tape. It rehearses a step instead (Rehearsal
// in core/parallel.h): the real code of a step runs, but the loops inside its ops do nothing. So the step
// allocates all its memory without writing to it, and a Profile records every op with its work. The predicted
// memory is exact, except for the scratch memory of threads, which is an estimate. For the time of a step,
// see apps/preflight/probe.h.
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

// The time of generating one token. Every weight is read once, at nine tenths of the reading speed; of wpe,
// only one row is read.
constexpr double kReading = 0.9;
double predicted_token_seconds(const PreflightRequest& request, const Roof& roof);

}  // namespace inkling
