#include "apps/ranks/local_steps.h"

#include <algorithm>
#include <numeric>

#include "core/parallel.h"
#include "core/ranks/collectives.h"
#include "nn/layer_norms.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

constexpr std::int64_t kFloats = 1 << 14;  // a thread takes this many floats at a time: they fit into L1

// Pages may be larger than what they were made for, so `like` has the number of floats.
std::span<float> floats_of(const Pages& pages, std::span<const float> like) {
  return {reinterpret_cast<float*>(pages.data()), like.size()};
}

void copy_in_parallel(std::span<const float> from, std::span<float> to) {
  parallel_for(std::ssize(from), kFloats, [&](std::int64_t begin, std::int64_t end) {
    std::copy(from.data() + begin, from.data() + end, to.data() + begin);
  });
}

}  // namespace

LocalSteps::LocalSteps(Ranks& ranks, std::int64_t replicas, GPT2& model, const LocalStepsSettings& settings,
                       const std::function<std::unique_ptr<Optimizer>()>& make_optimizer)
    : ranks_(ranks),
      all_(replicas),
      model_(model),
      settings_(settings),
      chunks_(cut_segments(segments_of(model.parameters().table()))),
      shares_(shares_of(chunks_, layer_ranges(model.parameters()), ranks.size())),
      sum_(ranks, replicas, shares_, model.parameters().gradients(), settings.sent_as),
      gather_mean_(ranks, shares_, static_cast<std::size_t>(size_bytes(settings.sent_as))),
      outer_(segments_of(model.parameters().table()), settings.outer_momentum),
      shared_(model.parameters().values().size_bytes()) {
  const std::span<const float> weights = model.parameters().values();
  copy_in_parallel(weights, shared_weights());
  for (std::int64_t i = 0; i < sum_.parts().size(); ++i) {
    replicas_.push_back({make_optimizer(), {}});
    if (sum_.parts().size() == 1) continue;  // it is always in the model
    replicas_.back().weights = Pages(weights.size_bytes());
    copy_in_parallel(weights, floats_of(replicas_.back().weights, weights));
  }
  if (settings.sent_as == DType::bf16) mean_bf16_ = Pages(weights.size() * sizeof(bf16));
}

std::span<float> LocalSteps::shared_weights() const {
  return floats_of(shared_, model_.parameters().values());
}

std::span<float> LocalSteps::weights_of(std::size_t replica) {
  const std::span<float> in_model = model_.parameters().values();
  return replica == in_model_ ? in_model : floats_of(replicas_[replica].weights, in_model);
}

void LocalSteps::bring_into_model(std::size_t replica) {
  if (replica == in_model_) return;
  const std::span<float> weights = model_.parameters().values();
  copy_in_parallel(weights, floats_of(replicas_[in_model_].weights, weights));
  copy_in_parallel(floats_of(replicas_[replica].weights, weights), weights);
  in_model_ = replica;
  weights_changed();
}

void LocalSteps::state_loaded() {
  broadcast_bytes(ranks_, std::as_writable_bytes(outer_.velocity()));  // rank 0 alone has loaded it
  weights_changed();
}

void LocalSteps::weights_changed() {
  parallel_chunks(std::ssize(chunks_), [&](std::int64_t i) {
    const SegmentChunk& c = chunks_[static_cast<std::size_t>(i)];
    model_.weights_changed(c.offset, c.count);
  });
}

// ---- The inner steps ----

// A replica that diverges keeps its weights. The other replicas of the rank still take their steps, because
// other ranks take theirs, too.
LocalSteps::Inner LocalSteps::inner_step(std::size_t replica, Tape& tape, std::span<const MicroBatch> batches,
                                         const StepSettings& settings, std::string& error) {
  bring_into_model(replica);
  try {
    const StepResult r = training_step(model_, *replicas_[replica].optimizer, tape, batches, settings);
    return {.loss = r.loss, .grad_norm = r.grad_norm, .counted = r.counted};
  } catch (const Diverged& diverged) {
    if (error.empty())
      error = str("replica ", sum_.parts().begin + static_cast<std::int64_t>(replica), ": ", diverged.what());
    return {.diverged = true};
  }
}

// The number of values of each rank, if each replica has `each` values.
std::vector<std::int64_t> LocalSteps::replicas_of_ranks(std::int64_t each) const {
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < ranks_.size(); ++rank)
    counts.push_back(each * parts_of_rank(all_, rank, ranks_.size()).size());
  return counts;
}

StepResult LocalSteps::mean_of_all(std::span<const Inner> mine, const std::string& error) {
  const std::vector<Inner> all = gather<Inner>(ranks_, mine, replicas_of_ranks(1));
  if (std::any_of(all.begin(), all.end(), [](const Inner& one) { return one.diverged; })) {
    for (const std::string& what : gather_texts(ranks_, error))
      if (!what.empty()) throw Diverged(what);
  }
  StepResult result;
  std::int64_t learning = 0;  // replicas whose rows have targets that count
  for (const Inner& one : all) {
    result.counted += one.counted;
    result.loss += one.loss * static_cast<double>(one.counted);
    result.grad_norm += one.grad_norm;
    learning += one.counted > 0;
  }
  if (result.counted == 0) return {};
  result.loss /= static_cast<double>(result.counted);
  result.grad_norm /= static_cast<double>(learning);
  return result;
}

void LocalSteps::gather_gradient_norms(std::span<const double> mine) {
  const std::size_t parts = mine.size() / replicas_.size();
  const std::vector<double> all =
      gather<double>(ranks_, mine, replicas_of_ranks(static_cast<std::int64_t>(parts)));
  gradient_norms_.assign(parts, 0);
  for (std::size_t i = 0; i < all.size(); ++i) gradient_norms_[i % parts] += all[i];
  for (double& norm : gradient_norms_) norm /= static_cast<double>(all_);
}

StepResult LocalSteps::step(Tape& tape, std::span<const MicroBatch> batches, const StepSettings& settings) {
  const bool meets = settings.step % settings_.steps == 0;
  const std::size_t each = batches.size() / replicas_.size();
  std::vector<Inner> inner;
  std::vector<double> norms;
  std::string error;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    inner.push_back(inner_step(i, tape, batches.subspan(i * each, each), settings, error));
    if (!meets) continue;
    std::vector<double> of_replica = norms_by_layer(model_.parameters(), model_.parameters().gradients());
    if (inner.back().counted == 0) std::fill(of_replica.begin(), of_replica.end(), 0);  // no new gradient
    norms.insert(norms.end(), of_replica.begin(), of_replica.end());
  }
  const StepResult result = mean_of_all(inner, error);
  if (!meets) return result;
  gather_gradient_norms(norms);
  outer_step(tape, settings.step / settings_.steps);
  return result;
}

// ---- The outer step ----

void LocalSteps::outer_step(Tape& tape, std::int64_t number) {
  const std::span<float> shared = shared_weights(), change = model_.parameters().gradients();
  const double bytes = static_cast<double>(shared.size_bytes());
  {
    const auto scope = tape.scope(Phase::update, "sum over ranks", {.bytes = bytes});
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      const std::span<const float> weights = weights_of(i);
      parallel_for(std::ssize(shared), kFloats, [&](std::int64_t begin, std::int64_t end) {
        std::transform(shared.data() + begin, shared.data() + end, weights.data() + begin,
                       change.data() + begin, std::minus<float>());
      });
      sum_.add(sum_.parts().begin + static_cast<std::int64_t>(i));
    }
    send_mean(sum_.reduce());
  }
  const auto scope = tape.scope(Phase::update, outer_.name(), {.bytes = outer_.step_bytes()});
  outer_.step(shared.data(), change.data(), number, static_cast<float>(settings_.outer_lr), 1.0f);
  for (std::size_t i = 0; i < replicas_.size(); ++i) copy_in_parallel(shared, weights_of(i));
  weights_changed();
}

// Divides this rank's share of the sum by the number of replicas, and sends it to all other ranks. Afterwards
// the model's buffer of gradients has the mean change of all weights.
void LocalSteps::send_mean(const float* sum) {
  const std::span<float> mean = model_.parameters().gradients();
  const std::span<bf16> sent(reinterpret_cast<bf16*>(mean_bf16_.data()), mean.size());
  const bool as_bf16 = settings_.sent_as == DType::bf16;
  const auto replicas = static_cast<float>(all_);
  for (const WeightRange& range : shares_.of_rank[static_cast<std::size_t>(ranks_.rank())].ranges) {
    parallel_for(range.size(), kFloats, [&](std::int64_t begin, std::int64_t end) {
      const float* from = sum + range.begin;
      float* to = mean.data() + range.begin;
      std::transform(from + begin, from + end, to + begin, [&](float x) { return x / replicas; });
      if (as_bf16) kernels().narrow(sent.data() + range.begin + begin, to + begin, end - begin);
    });
  }
  gather_mean_.gather(as_bf16 ? std::as_writable_bytes(sent) : std::as_writable_bytes(mean));
  if (!as_bf16) return;
  parallel_for(std::ssize(mean), kFloats, [&](std::int64_t begin, std::int64_t end) {
    std::transform(sent.data() + begin, sent.data() + end, mean.data() + begin, to_float);
  });
}

// ---- Checkpoints ----

RunState LocalSteps::state() {
  const std::int64_t n = std::ssize(shared_weights());
  RunState state{.arrays = 0, .length = n, .pieces = {}};
  const auto add = [&](const char* name, int rank, std::span<float> values) {
    state.pieces.push_back({name, rank, n, rank == ranks_.rank() ? values : std::span<float>{}});
    ++state.arrays;
  };
  add("outer velocity", 0, outer_.velocity());
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const std::int64_t replicas = parts_of_rank(all_, rank, ranks_.size()).size();
    for (std::int64_t i = 0; i < replicas; ++i) {
      const bool here = rank == ranks_.rank();
      const auto own = static_cast<std::size_t>(i);
      add("weights", rank, here ? weights_of(own) : std::span<float>{});
      // All replicas have the same optimiser.
      for (const Optimizer::State& array : replicas_[here ? own : 0].optimizer->state())
        add(array.name, rank, array.values);
    }
  }
  return state;
}

}  // namespace inkling
