#include "core/tape.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

Tensor Tape::leaf(float* values, float* gradient, Shape shape, LeafGradient mode) {
  if (!recording_ || gradient == nullptr) return Tensor(values, shape);
  const std::int64_t count = shape.numel();
  std::int32_t slot = graph_.find_leaf(gradient);
  if (slot == Tensor::kNoGradient)
    slot = graph_.add_slot(values, count, DType::f32, gradient, mode == LeafGradient::accumulate);
  const GradientSlot& s = graph_.slots_[static_cast<std::size_t>(slot)];
  if (s.values != values || s.count != count) {
    fail("leaf: the gradient buffer belongs to a leaf of ", s.count,
         " elements already, got a leaf of shape ", shape);
  }
  return Tensor(values, shape, DType::f32, slot);
}

Tensor Tape::output(Shape shape, std::initializer_list<Tensor> inputs, DType dtype) {
  void* values = memory_.allocate(static_cast<std::size_t>(shape.numel() * size_bytes(dtype)));
  bool wanted = false;
  for (const Tensor& input : inputs) wanted = wanted || input.has_gradient();
  const std::int32_t slot = recording_ && wanted
                                ? graph_.add_slot(values, shape.numel(), dtype, nullptr, false)
                                : Tensor::kNoGradient;
  return Tensor(values, shape, dtype, slot);
}

GraphNode* Tape::begin_node(const char* name, std::initializer_list<Tensor> reads,
                            std::initializer_list<Tensor> adds_to, const Work& work) {
  if (!recording_) return nullptr;
  GraphNode node;
  node.name = name;
  node.shape = reads.begin()->shape();
  node.work = work;
  if (reads.size() > GraphNode::kMaxEnds || adds_to.size() > GraphNode::kMaxEnds) {
    fail(name, ": a node reads and adds to at most ", GraphNode::kMaxEnds, " gradients, got ", reads.size(),
         " and ", adds_to.size());
  }
  for (const Tensor& y : reads) {
    if (y.has_gradient()) node.reads[node.read_count++] = y.slot();
  }
  for (const Tensor& x : adds_to) {
    if (x.has_gradient()) node.adds_to[node.add_count++] = x.slot();
  }
  if (node.read_count == 0 || node.add_count == 0) return nullptr;
  return &(graph_.add_node() = node);
}

void Tape::check_known(const char* what, const Tensor& x) const {
  if (graph_.knows(x)) return;
  fail(what, ": tensor ", x.shape(),
       " is from another tape or from before clear(), expected a tensor of this tape");
}

void Tape::backward(const Tensor& loss, float seed) {
  if (loss.numel() != 1) fail("backward: loss has shape ", loss.shape(), ", expected one element");
  if (!loss.has_gradient())
    fail("backward: the loss does not depend on anything that has a gradient, expected a leaf");
  check_known("backward", loss);
  graph_.backward(loss, seed, schedule_, memory_);
}

void Tape::backward_from(const Tensor& y, const float* dy) {
  if (!y.has_gradient())
    fail("backward: ", y.shape(), " does not depend on anything that has a gradient, expected a leaf");
  check_known("backward", y);
  graph_.backward_from(y, dy, memory_);
}

Tape& Tape::inner() {
  if (!inner_) inner_ = std::make_unique<Tape>();
  inner_->profile_into(profile_);
  inner_->phase_ = Phase::recomputed;
  return *inner_;
}

Tensor Tape::with_gradient(const Tensor& y) {
  const std::int32_t slot = graph_.add_slot(y.raw(), y.numel(), y.dtype(), nullptr, false);
  return Tensor(const_cast<void*>(y.raw()), y.shape(), y.dtype(), slot);
}

GradientTarget<> Tape::leaf_gradient(const Tensor& leaf, const Tensor& result) {
  if (!leaf.has_gradient())
    fail("leaf_gradient: tensor ", leaf.shape(), " has no gradient, expected a leaf with a gradient");
  check_known("leaf_gradient", leaf);
  if (!graph_.slots_[static_cast<std::size_t>(leaf.slot())].is_leaf) {
    fail("leaf_gradient: tensor ", leaf.shape(), " is not a leaf, expected a leaf");
  }
  check_known("leaf_gradient", result);
  graph_.require(result.slot());
  return Gradients(graph_).target(leaf);
}

std::int64_t Tape::newly_used_bytes() {
  const auto used = static_cast<std::int64_t>(profile_ == nullptr ? 0 : memory_.used_bytes());
  return used - std::exchange(profiled_bytes_, used);
}

void Tape::clear() {
  graph_.clear();
  memory_.reset();
  profiled_bytes_ = 0;
}

Tensor Tape::rewind(Arena::Mark mark, const Tensor& kept) {
  if (recording_) return kept;
  if (!kept.contiguous())
    fail("rewind: kept tensor ", kept.shape(), " is not contiguous, expected a contiguous tensor");
  memory_.rewind(mark);
  Tensor moved = output(kept.shape(), {});
  // One chunk, because `moved` and `kept` may overlap. A Rehearsal skips the loop, so it touches no memory.
  parallel_chunks(1, [&](std::int64_t) {
    std::memmove(moved.f32(), kept.f32(), static_cast<std::size_t>(kept.numel()) * sizeof(float));
  });
  profiled_bytes_ = std::min(profiled_bytes_, static_cast<std::int64_t>(memory_.used_bytes()));
  return moved;
}

}  // namespace inkling
