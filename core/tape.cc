#include "core/tape.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/parallel.h"
#include "core/poison.h"

namespace inkling {

Tensor Tape::leaf(float* values, float* gradient, Shape shape, LeafGradient mode) {
  if (gradient == nullptr || !(recording_ || in_piece_)) return Tensor(values, shape);
  const std::int64_t count = shape.numel();
  std::int32_t slot = graph_.find_leaf(gradient);
  if (slot == Tensor::kNoGradient)
    slot = graph_.add_slot(values, count, DType::f32, gradient, mode == LeafGradient::accumulate);
  const GradientSlot& s = graph_.slots_[static_cast<std::size_t>(slot)];
  if (s.values != values || s.count != count) {
    fail("leaf: the gradient buffer already belongs to a leaf of ", s.count,
         " elements, got another leaf of shape ", shape);
  }
  const Tensor x(values, shape, DType::f32, slot);
  if (recording_) return x;
  const auto is_x = [&](const Tensor& noted) { return noted.slot() == slot; };
  if (std::none_of(piece_leaves_.begin(), piece_leaves_.end(), is_x)) piece_leaves_.push_back(x);
  return x.detach();
}

Tensor Tape::output(Shape shape, std::initializer_list<Tensor> inputs, DType dtype) {
  void* values = memory_.allocate(static_cast<std::size_t>(shape.numel() * size_bytes(dtype)));
  bool wanted = false;
  for (const Tensor& input : inputs) {
    wanted = wanted || input.has_gradient();
    if (in_piece_ && input.has_gradient()) {
      fail("recompute: a piece uses a tensor ", input.shape(),
           " that has a gradient and was made outside the piece, expected only the piece's input and leaves");
    }
  }
  const std::int32_t slot = recording_ && wanted
                                ? graph_.add_slot(values, shape.numel(), dtype, nullptr, false)
                                : Tensor::kNoGradient;
  return Tensor(values, shape, dtype, slot);
}

GraphNode* Tape::begin_node(const char* name, std::initializer_list<Tensor> reads,
                            std::initializer_list<Tensor> adds_to, std::span<const Tensor> more,
                            const Work& work) {
  const auto any = [](const auto& tensors) {
    return std::any_of(tensors.begin(), tensors.end(), [](const Tensor& t) { return t.has_gradient(); });
  };
  if (!recording_ || !any(reads) || !(any(adds_to) || any(more))) return nullptr;
  auto* const first = keep<std::int32_t>(std::ssize(reads) + std::ssize(adds_to) + std::ssize(more));
  std::int32_t* end = first;
  const auto append = [&](const auto& tensors) {
    for (const Tensor& t : tensors) {
      if (!t.has_gradient()) continue;
      check_known(name, t);
      *end++ = t.slot();
    }
  };
  GraphNode node;
  node.name = name;
  node.shape = reads.begin()->shape();
  node.work = work;
  append(reads);
  node.reads = {first, end};
  append(adds_to);
  append(more);
  node.adds_to = {node.reads.data() + node.reads.size(), end};
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
    fail("backward: the loss has no gradient, expected a loss that depends on a leaf with a gradient");
  check_known("backward", loss);
  graph_.backward(loss, seed, schedule_, memory_);
}

void Tape::backward_from(const Tensor& y, const float* dy) {
  if (!y.has_gradient())
    fail("backward: tensor ", y.shape(),
         " has no gradient, expected a tensor that depends on a leaf with one");
  check_known("backward", y);
  graph_.backward_from(y, dy, memory_);
}

Tape& Tape::inner() {
  if (!inner_) inner_ = std::make_unique<Tape>();
  inner_->profile_into(profile_);
  inner_->phase_ = Phase::recomputed;
  return *inner_;
}

Tape::Piece Tape::keep_piece(const Tensor& x, const Tensor& result) {
  for (const Tensor& leaf : piece_leaves_) {
    if (leaf.slot() == x.slot() && leaf.numel() != x.numel()) {
      fail("recompute: x ", x.shape(), " is a part of a leaf ", leaf.shape(),
           " that the piece also uses, expected the whole leaf or a tensor that is no part of it");
    }
  }
  auto* const leaves = keep<Tensor>(std::ssize(piece_leaves_));
  std::uninitialized_copy(piece_leaves_.begin(), piece_leaves_.end(), leaves);
  Piece piece{result, {leaves, piece_leaves_.size()}};
  if (x.has_gradient() || !piece.leaves.empty()) {
    const std::int32_t slot = graph_.add_slot(result.raw(), result.numel(), result.dtype(), nullptr, false);
    piece.result = Tensor(result.f32(), result.shape(), DType::f32, slot);
  }
  return piece;
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
    move_down(moved.f32(), kept.f32(), static_cast<std::size_t>(kept.numel()) * sizeof(float));
  });
  profiled_bytes_ = std::min(profiled_bytes_, static_cast<std::int64_t>(memory_.used_bytes()));
  return moved;
}

}  // namespace inkling
