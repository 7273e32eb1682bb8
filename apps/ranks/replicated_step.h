// One training step of a run whose batch is divided into parts, on one rank or on several.
//
//   for each part of this rank: forward, loss, backward     as in apps/run/training_step.h
//   add the gradients of all parts                          gradient_sum.h: each rank gets its share's sum,
//                                                           a layer at a time, while backward still runs
//   clip by the norm of the whole gradient
//   each rank updates its share of the weights
//   send the updated weights to all ranks
//
// A rank keeps the optimiser's state only for its share: this is ZeRO stage 1 (Rajbhandari et al. 2020).
// Every sum has an order that depends on the number of parts, never on the number of ranks or threads, so all
// ranks have the same weights with the same bits after each step. Read next: gradient_sum.h.
#pragma once

#include <span>
#include <vector>

#include "apps/ranks/gather_shares.h"
#include "apps/ranks/gradient_sum.h"
#include "apps/run/training_step.h"
#include "nn/layer_norms.h"
#include "optim/segment.h"

namespace inkling {

class Replicas {
 public:
  // A run of `parts` parts. `model` must stay where it is.
  Replicas(Ranks& ranks, std::int64_t parts, GPT2& model);

  PartRange parts() const { return sum_.parts(); }  // of this rank
  const Shares& shares() const { return shares_; }
  // This rank's share of the weights, for its optimiser: one segment for each chunk.
  const std::vector<ParameterSegment>& segments() const { return segments_; }

  // Takes a step. `batches` has the micro-batches of this rank's first part, then those of its second part,
  // and so on. The result is the same on every rank; so is the Diverged that it throws.
  StepResult step(Optimizer& optimizer, Tape& tape, std::span<const MicroBatch> batches,
                  const StepSettings& settings);

  // The norm of each part of the model (nn/layer_norms.h) in the gradient of the last step, before clipping.
  // All ranks call it, and get the same result. The last step must have had targets that count.
  std::vector<double> gradient_norms() const;

 private:
  std::int64_t counted_by_all(std::span<const MicroBatch> batches) const;
  double part_gradient(Tape& tape, std::span<const MicroBatch> batches, std::int64_t mean_over,
                       const Graph::LeafDone& leaf_done);
  double add_losses(std::span<const double> losses) const;
  std::vector<double> gather_squares(std::span<const LayerRange> ranges) const;
  double gradient_norm(Tape& tape) const;
  void update(Optimizer& optimizer, Tape& tape, const StepSettings& settings, float shorten);
  void share_weights(Tape& tape);

  Ranks& ranks_;
  std::int64_t parts_;
  GPT2& model_;
  std::vector<SegmentChunk> chunks_;  // of all weights
  Shares shares_;
  std::vector<ParameterSegment> segments_;
  GradientSum sum_;
  GatherShares gather_weights_;
  const float* gradient_ = nullptr;  // of the last step, summed over all parts; only this share is valid
};

}  // namespace inkling
