// One training step: predict, measure the error, compute each weight's contribution to the error, adjust the
// weights.
//
//   for each micro-batch:  forward, loss, backward     gradients of the micro-batches are summed
//   clip                                               shorten the gradient if it is longer than max_norm
//   update                                             move the weights in the direction that lowers the loss
//
// The trainer, the benchmarks and the tests call training_step(). It knows a model, an optimiser and token
// ids; it does not know files, settings or metrics.
#pragma once

#include <span>

#include "core/error.h"
#include "core/tape.h"
#include "nn/gpt2.h"
#include "optim/optimizer.h"

namespace inkling {

// Diverged: the loss or the gradient became NaN or infinite. The weights were not changed.
class Diverged : public Error {
 public:
  using Error::Error;
};

// A micro-batch: token ids and their targets, i32 (B, T). A target of -1 is not counted. If rows hold several
// documents, `positions` i32 (B, T) has each token's position in its document (GPT2::loss).
struct MicroBatch {
  Tensor ids;
  Tensor targets;
  Tensor positions = {};
};

// The number of targets of a micro-batch that are not -1.
std::int64_t counted_targets(const MicroBatch& batch);

// Throws Diverged "the loss is nan at step 7" if the value is not finite.
void check_finite(const char* what, double value, std::int64_t step);

// Error unless a step of grad_accum micro-batches has at most kMostStepTokens tokens. The limit exists
// because the trainer stores the token ids of a whole step.
constexpr std::int64_t kMostStepTokens = std::int64_t{1} << 26;
void check_step_tokens(std::int64_t micro_batch_tokens, std::int64_t grad_accum);

struct StepSettings {
  std::int64_t step = 1;  // the number of the step, counted from 1; the optimiser's bias correction needs it
  float lr = 0;
  double max_norm = 0;  // a longer gradient is shortened to this length; 0: never
};

struct StepResult {
  double loss = 0;           // mean loss over all counted targets of the step, before the update
  double grad_norm = 0;      // the norm of the gradient before clipping
  std::int64_t counted = 0;  // the targets of the step that are not -1
};

// Takes one training step. Throws Diverged, before the update, if the loss or the gradient norm is not
// finite. If all targets are -1, the step changes nothing, and loss and grad_norm are 0.
StepResult training_step(GPT2& model, Optimizer& optimizer, Tape& tape, std::span<const MicroBatch> batches,
                         const StepSettings& settings);

}  // namespace inkling
