#include "apps/ranks/replicated_step.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/parallel.h"
#include "core/ranks/collectives.h"
#include "ops/kernels.h"
#include "optim/clip.h"

namespace inkling {

namespace {

const float* reduce(GradientSum& sum, Tape& tape, std::span<const float> weights) {
  const auto scope =
      tape.scope(Phase::update, "sum over ranks", {.bytes = static_cast<double>(weights.size_bytes())});
  return sum.reduce();
}

std::vector<ParameterSegment> segments_of_rank(std::span<const SegmentChunk> chunks, const Shares& shares,
                                               int rank) {
  std::vector<ParameterSegment> segments;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const SegmentChunk& c = chunks[i];
    if (shares.owners[i] == rank) segments.push_back({c.offset, c.count, c.decay, "chunk", c.count});
  }
  return segments;
}

// While it exists, the tape reports the leaves whose gradients are complete.
class LeafReports {
 public:
  LeafReports(Tape& tape, const Graph::LeafDone& leaf_done) : tape_(tape) { tape_.on_leaf_done(leaf_done); }
  ~LeafReports() { tape_.on_leaf_done(nullptr); }
  LeafReports(const LeafReports&) = delete;
  LeafReports& operator=(const LeafReports&) = delete;

 private:
  Tape& tape_;
};

}  // namespace

Replicas::Replicas(Ranks& ranks, std::int64_t parts, GPT2& model)
    : ranks_(ranks),
      parts_(parts),
      model_(model),
      chunks_(cut_segments(segments_of(model.parameters().table()))),
      shares_(shares_of(chunks_, layer_ranges(model.parameters()), ranks.size())),
      segments_(segments_of_rank(chunks_, shares_, ranks.rank())),
      sum_(ranks, parts, shares_, model.parameters().gradients()),
      gather_weights_(ranks, shares_, sizeof(float)) {}

std::int64_t Replicas::counted_by_all(std::span<const MicroBatch> batches) const {
  std::int64_t counted = 0;
  for (const MicroBatch& batch : batches) counted += counted_targets(batch);
  const std::vector<std::int64_t> all = gather(ranks_, counted);
  return std::accumulate(all.begin(), all.end(), std::int64_t{0});
}

// Computes the gradient of one part, and returns the part's share of the mean loss. Calls leaf_done, if it is
// not null, as soon as the gradient of a leaf is complete: the sum over all micro-batches.
double Replicas::part_gradient(Tape& tape, std::span<const MicroBatch> batches, std::int64_t mean_over,
                               const Graph::LeafDone& leaf_done) {
  double total = 0;
  LeafGradient mode = LeafGradient::overwrite;
  std::int64_t left = std::count_if(batches.begin(), batches.end(),
                                    [](const MicroBatch& b) { return counted_targets(b) > 0; });
  for (const MicroBatch& batch : batches) {
    if (counted_targets(batch) == 0) continue;  // its loss and its gradient are 0
    tape.clear();
    const Tensor loss = model_.loss(tape, batch.ids, batch.targets, mode, mean_over, batch.positions);
    total += static_cast<double>(loss.item());
    const bool last = --left == 0;
    const LeafReports reports(tape, last ? leaf_done : nullptr);
    tape.backward(loss);
    mode = LeafGradient::accumulate;
  }
  const std::span<float> gradients = model_.parameters().gradients();
  if (mode == LeafGradient::overwrite) parallel_fill(gradients.data(), std::ssize(gradients), 0.0f);
  return total;
}

// The sum of the losses of all parts.
double Replicas::add_losses(std::span<const double> losses) const {
  std::vector<std::int64_t> counts;
  for (int rank = 0; rank < ranks_.size(); ++rank)
    counts.push_back(parts_of_rank(parts_, rank, ranks_.size()).size());
  const std::vector<double> all = gather<double>(ranks_, losses, counts);
  return std::accumulate(all.begin(), all.end(), 0.0);
}

// The sum of squares of the gradient in each range. The ranges are in the order of the weights; every range
// lies in one chunk, so it belongs to one rank.
std::vector<double> Replicas::gather_squares(std::span<const LayerRange> ranges) const {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(ranks_.size()));
  std::vector<std::size_t> owners;  // of the ranges
  std::vector<LayerRange> mine;
  std::size_t chunk = 0;
  for (const LayerRange& range : ranges) {
    while (range.offset >= chunks_[chunk].offset + chunks_[chunk].count) ++chunk;
    owners.push_back(static_cast<std::size_t>(shares_.owners[chunk]));
    ++counts[owners.back()];
    if (shares_.owners[chunk] == ranks_.rank()) mine.push_back(range);
  }
  std::vector<double> squares(mine.size());
  parallel_chunks(std::ssize(mine), [&](std::int64_t i) {
    const LayerRange& range = mine[static_cast<std::size_t>(i)];
    squares[static_cast<std::size_t>(i)] = kernels().sum_of_squares(gradient_ + range.offset, range.count);
  });
  const std::vector<double> by_rank = gather<double>(ranks_, squares, counts);
  std::vector<std::int64_t> next(counts.size());  // the next number of each rank
  std::exclusive_scan(counts.begin(), counts.end(), next.begin(), std::int64_t{0});
  std::vector<double> all;
  for (const std::size_t owner : owners) all.push_back(by_rank[static_cast<std::size_t>(next[owner]++)]);
  return all;
}

// The norm of the whole gradient: one sum of squares for each chunk, added in the order of the chunks.
double Replicas::gradient_norm(Tape& tape) const {
  const auto scope = tape.scope(
      Phase::update, "gradient norm",
      {.bytes = 4.0 * static_cast<double>(shares_.of_rank[static_cast<std::size_t>(ranks_.rank())].size)});
  std::vector<LayerRange> ranges;
  for (const SegmentChunk& c : chunks_) ranges.push_back({.offset = c.offset, .count = c.count});
  const std::vector<double> squares = gather_squares(ranges);
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

// A chunk may have weights of several layers, and a layer's tensor may have several chunks. So each range of
// a layer is cut at the chunks.
std::vector<double> Replicas::gradient_norms() const {
  const std::vector<LayerRange> layers = layer_ranges(model_.parameters());
  std::vector<LayerRange> ranges;
  auto layer = layers.begin();
  for (const SegmentChunk& c : chunks_) {
    for (std::int64_t at = c.offset; at < c.offset + c.count;) {
      while (at >= layer->offset + layer->count) ++layer;
      const std::int64_t end = std::min(c.offset + c.count, layer->offset + layer->count);
      ranges.push_back({layer->part, at, end - at});
      at = end;
    }
  }
  const std::vector<double> squares = gather_squares(ranges);
  std::vector<double> norms(layers.back().part + 1);
  for (std::size_t i = 0; i < ranges.size(); ++i) norms[ranges[i].part] += squares[i];
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

void Replicas::update(Optimizer& optimizer, Tape& tape, const StepSettings& settings, float shorten) {
  const auto scope = tape.scope(Phase::update, optimizer.name(), {.bytes = optimizer.step_bytes()});
  optimizer.step(model_.parameters().values().data(), gradient_, settings.step, settings.lr, shorten,
                 [&](std::int64_t offset, std::int64_t count) { model_.weights_changed(offset, count); });
}

// Sends this rank's share of the weights to all other ranks, and receives theirs.
void Replicas::share_weights(Tape& tape) {
  if (ranks_.size() == 1) return;
  const std::span<float> weights = model_.parameters().values();
  const auto scope =
      tape.scope(Phase::update, "send weights", {.bytes = static_cast<double>(weights.size_bytes())});
  gather_weights_.gather(std::as_writable_bytes(weights));
  parallel_chunks(std::ssize(chunks_), [&](std::int64_t i) {
    const SegmentChunk& c = chunks_[static_cast<std::size_t>(i)];
    if (shares_.owners[static_cast<std::size_t>(i)] != ranks_.rank())
      model_.weights_changed(c.offset, c.count);
  });
}

StepResult Replicas::step(Optimizer& optimizer, Tape& tape, std::span<const MicroBatch> batches,
                          const StepSettings& settings) {
  StepResult result{.counted = counted_by_all(batches)};
  if (result.counted == 0) return result;  // nothing to learn from
  const PartRange mine = parts();
  const std::size_t each = batches.size() / static_cast<std::size_t>(mine.size());
  std::vector<double> losses;
  const auto backward = [&](std::int64_t part, const Graph::LeafDone& leaf_done) {
    const auto first = static_cast<std::size_t>(part - mine.begin) * each;
    losses.push_back(part_gradient(tape, batches.subspan(first, each), result.counted, leaf_done));
  };
  for (std::int64_t part = mine.begin; part + 1 < mine.end; ++part) {
    backward(part, nullptr);
    sum_.add(part);
  }
  sum_.add_while(mine.end - 1, [&] {
    backward(mine.end - 1,
             [&](const float* gradient, std::int64_t count) { sum_.complete(gradient, count); });
  });
  gradient_ = reduce(sum_, tape, model_.parameters().values());
  result.loss = add_losses(losses);
  check_finite("the loss", result.loss, settings.step);
  result.grad_norm = gradient_norm(tape);
  check_finite("the gradient's norm", result.grad_norm, settings.step);
  const bool clips = settings.max_norm > 0;
  update(optimizer, tape, settings, clips ? clip_factor(result.grad_norm, settings.max_norm) : 1.0f);
  share_weights(tape);
  return result;
}

}  // namespace inkling
