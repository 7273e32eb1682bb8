// One training step, as the lessons tell it: predict, measure, find out who is to blame, adjust.
//
//   for each micro-batch:  forward, loss, backward     gradients of the micro-batches are summed
//   clip                                               limit the length of the gradient
//   update                                             move the weights against the gradient
//
// The trainer, the benchmarks and the tests call this function. It knows a model, an optimiser and token ids;
// it does not know files, settings or metrics.
#pragma once

#include <span>

#include "core/error.h"
#include "core/tape.h"
#include "nn/gpt2.h"
#include "optim/optimizer.h"

namespace inkling {

// The loss or the gradient became NaN or infinite. The weights were not changed.
class Diverged : public Error {
 public:
  using Error::Error;
};

// Token ids and their targets, i32 (B, T). A target of -1 is not counted.
struct MicroBatch {
  Tensor ids;
  Tensor targets;
};

struct StepSettings {
  std::int64_t step = 1;  // counted from 1, for the optimiser's bias correction
  float lr = 0;
  double max_norm = 0;  // the gradient is shortened to this length; 0: never
};

struct StepResult {
  double loss = 0;       // mean over all counted targets of the step, before the update
  double grad_norm = 0;  // before clipping
};

// Takes one step. Throws Diverged, before the update, if the loss or the gradient norm is not finite; Error
// if no target counts.
StepResult training_step(GPT2& model, Optimizer& optimizer, Tape& tape, std::span<const MicroBatch> batches,
                         const StepSettings& settings);

}  // namespace inkling
