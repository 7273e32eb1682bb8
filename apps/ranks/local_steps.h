// Local steps: replicas that train on their own and meet only now and then, for slow networks. This is DiLoCo
// (Douillard et al. 2023, arXiv 2311.08105).
//
// A run has R replicas: the parts of parts.h. All of them start from the same shared weights w. Then:
//
//   H inner steps    each replica trains on its own rows, with an optimiser of its own: w_1 ... w_R
//   the outer step   change_r = w - w_r
//                    g = (change_1 + ... + change_R) / R        the sum in the order of the tree in parts.h
//                    w = Nesterov step with the gradient g      optim/nesterov.h
//
// and all replicas start again from the new w; their optimisers keep their state. Only the changes and their
// mean are sent, once in H steps, in f32 or rounded to bf16. In the other steps, the ranks exchange only the
// replicas' losses. With H = 1, outer learning rate 1 and momentum 0, an outer step is the mean of the
// replicas' weights.
//
// The result depends on the number of replicas, but not on the number of ranks. A rank with several replicas
// trains them one after the other. Between two outer steps there are R models, so a run validates only after
// outer steps. Read next: local_steps.cc.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/ranks/gather_shares.h"
#include "apps/ranks/gradient_sum.h"
#include "apps/ranks/optimizer_state.h"
#include "apps/run/training_step.h"
#include "optim/nesterov.h"

namespace inkling {

struct LocalStepsSettings {
  std::int64_t steps = 1;  // H
  DType sent_as = DType::f32;
  double outer_lr = 1;
  double outer_momentum = 0.5;
};

class LocalSteps {
 public:
  // `model` has the shared weights; it must stay where it is. `make_optimizer` makes the optimiser of a
  // replica, for all weights.
  LocalSteps(Ranks& ranks, std::int64_t replicas, GPT2& model, const LocalStepsSettings& settings,
             const std::function<std::unique_ptr<Optimizer>()>& make_optimizer);

  // Takes an inner step with each replica of this rank and, after each H steps, the outer step. `batches` has
  // the micro-batches of this rank's first replica, then those of its second replica, and so on. The result
  // is the same on every rank: the mean loss over all targets, and the mean of the gradients' norms. So is
  // the Diverged that it throws.
  StepResult step(Tape& tape, std::span<const MicroBatch> batches, const StepSettings& settings);

  // The norm of each part of the model (nn/layer_norms.h) in the last gradient before the last outer step:
  // the mean over the replicas.
  const std::vector<double>& gradient_norms() const { return gradient_norms_; }

  // The weights after the last outer step, which all replicas have started from.
  std::span<float> shared_weights() const;

  // What a checkpoint has besides the shared weights: the outer velocity, and each replica's weights and
  // optimiser. After loading it, all ranks call state_loaded().
  RunState state();
  void state_loaded();

 private:
  struct Replica {
    std::unique_ptr<Optimizer> optimizer;
    Pages weights;  // while another replica is in the model
  };
  // The result of a replica's step.
  struct Inner {
    double loss = 0, grad_norm = 0;
    std::int64_t counted = 0;
    bool diverged = false;
  };

  std::span<float> weights_of(std::size_t replica);
  void bring_into_model(std::size_t replica);
  void weights_changed();
  Inner inner_step(std::size_t replica, Tape& tape, std::span<const MicroBatch> batches,
                   const StepSettings& settings, std::string& error);
  StepResult mean_of_all(std::span<const Inner> mine, const std::string& error);
  void gather_gradient_norms(std::span<const double> mine);
  void outer_step(Tape& tape, std::int64_t number);
  void send_mean(const float* sum);
  std::vector<std::int64_t> replicas_of_ranks(std::int64_t each) const;

  Ranks& ranks_;
  std::int64_t all_;  // R
  GPT2& model_;
  LocalStepsSettings settings_;
  std::vector<SegmentChunk> chunks_;  // of all weights
  Shares shares_;
  GradientSum sum_;  // of the changes
  GatherShares gather_mean_;
  std::vector<Replica> replicas_;  // of this rank
  std::size_t in_model_ = 0;       // the replica whose weights are in the model
  Nesterov outer_;
  Pages shared_;  // the shared weights
  Pages mean_bf16_;
  std::vector<double> gradient_norms_;
};

}  // namespace inkling
