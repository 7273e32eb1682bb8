#include "apps/run/training_step.h"

#include <algorithm>
#include <cmath>

#include "optim/clip.h"

namespace inkling {

namespace {

// ---- Clipping and the update. Each function records an event for the profile ----

double gradient_norm(GPT2& model, Tape& tape) {
  const std::span<const float> gradients = model.parameters().gradients();
  const auto scope =
      tape.scope(Phase::update, "gradient norm", {.bytes = static_cast<double>(gradients.size_bytes())});
  return global_norm(gradients.data(), std::ssize(gradients));
}

void update(GPT2& model, Optimizer& optimizer, Tape& tape, const StepSettings& settings, float shorten) {
  const double moved = optimizer.step_bytes() + static_cast<double>(model.packed_bytes());
  const auto scope = tape.scope(Phase::update, optimizer.name(), {.bytes = moved});
  optimizer.step(model.parameters().values().data(), model.parameters().gradients().data(), settings.step,
                 settings.lr, shorten,
                 [&](std::int64_t offset, std::int64_t count) { model.weights_changed(offset, count); });
}

}  // namespace

std::int64_t counted_targets(const MicroBatch& batch) {
  const std::int32_t* targets = batch.targets.i32();
  return batch.targets.numel() - std::count(targets, targets + batch.targets.numel(), -1);
}

void check_finite(const char* what, double value, std::int64_t step) {
  if (std::isfinite(value)) return;
  throw Diverged(str(what, " is ", std::isnan(value) ? "nan" : "infinite", " at step ", step));
}

void check_step_tokens(std::int64_t micro_batch_tokens, std::int64_t grad_accum) {
  if (micro_batch_tokens > kMostStepTokens) {
    throw UsageError(str("--batch-size times --seq-len is ", micro_batch_tokens, " tokens, expected at most ",
                         kMostStepTokens));
  }
  const std::int64_t most = kMostStepTokens / micro_batch_tokens;
  if (grad_accum > most) {
    throw UsageError(str("--grad-accum is ", grad_accum, ", expected at most ", most,
                         " with micro-batches of ", micro_batch_tokens, " tokens"));
  }
}

StepResult training_step(GPT2& model, Optimizer& optimizer, Tape& tape, std::span<const MicroBatch> batches,
                         const StepSettings& settings) {
  StepResult result;
  for (const MicroBatch& batch : batches) result.counted += counted_targets(batch);
  if (result.counted == 0) return result;  // nothing to learn from
  LeafGradient mode = LeafGradient::overwrite;
  for (const MicroBatch& batch : batches) {
    if (counted_targets(batch) == 0) continue;  // its loss and its gradient are 0
    tape.clear();
    const Tensor loss = model.loss(tape, batch.ids, batch.targets, mode, result.counted, batch.positions);
    result.loss += static_cast<double>(loss.item());
    check_finite("the loss", result.loss, settings.step);
    tape.backward(loss);
    mode = LeafGradient::accumulate;
  }
  result.grad_norm = gradient_norm(model, tape);
  check_finite("the gradient's norm", result.grad_norm, settings.step);
  const bool clips = settings.max_norm > 0;
  update(model, optimizer, tape, settings, clips ? clip_factor(result.grad_norm, settings.max_norm) : 1.0f);
  return result;
}

}  // namespace inkling
