#include "core/graph.h"

#include <algorithm>
#include <cassert>

#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

// ---- Backward ----

// Runs the nodes in reverse tape order, one after another. This order satisfies all dependencies.
void Graph::run_serial() {
  for (std::size_t n = nodes_.size(); n-- > 0;) {
    if (plan_.live(n)) run_node(static_cast<std::int32_t>(n));
  }
}

void Graph::run_node(std::int32_t n) {
  const GraphNode& node = nodes_[static_cast<std::size_t>(n)];
  ProfileScope scope(profile_, Phase::backward, node.name, node.shape, node.work);
  scope.of_node(n);
  Gradients gradients(*this);
  node.run(node.capture, gradients);
  if (leaf_done_) report_leaves(n);
}

// Reports the leaves whose gradients node n has completed.
void Graph::report_leaves(std::int32_t n) const {
  const std::span<const std::int32_t> adds_to = nodes_[static_cast<std::size_t>(n)].adds_to;
  for (auto slot = adds_to.begin(); slot != adds_to.end(); ++slot) {
    const GradientSlot& s = slots_[static_cast<std::size_t>(*slot)];
    if (!s.is_leaf || plan_.last_adder(*slot) != n) continue;
    if (std::find(adds_to.begin(), slot, *slot) != slot) continue;  // the node uses the leaf twice
    leaf_done_(static_cast<const float*>(s.gradient), s.count);
  }
}

// Runs the nodes on all threads. A node that has finished counts down its successors. If several successors
// become ready, the thread continues with the successor that was recorded last, because this successor is on
// the critical path (an op records dX after dW). The other successors are left to idle threads.
void Graph::run_tbb() {
  constexpr std::int32_t kNone = -1;
  if (open_capacity_ < nodes_.size()) {
    open_capacity_ = nodes_.size() + nodes_.size() / 2;
    open_ = std::make_unique<std::atomic<std::int32_t>[]>(open_capacity_);
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n)
    open_[n].store(plan_.predecessors(n), std::memory_order_relaxed);

  const auto spawn_ready = [this](Tasks& tasks) {
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      if (plan_.live(n) && plan_.predecessors(n) == 0) tasks.spawn(static_cast<std::int32_t>(n));
    }
  };
  run_tasks(spawn_ready, [this](Tasks& tasks, std::int32_t node) {
    while (node != kNone) {
      run_node(node);
      std::int32_t next = kNone;
      plan_.for_each_successor(node, [&](std::int32_t successor) {
        if (open_[static_cast<std::size_t>(successor)].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        const std::int32_t spawned = std::min(next, successor);
        next = std::max(next, successor);
        if (spawned != kNone) tasks.spawn(spawned);
      });
      node = next;
    }
  });
}

void Graph::run(std::int32_t start_slot, Schedule schedule, Arena& arena) {
  ran_ = true;
  {
    ProfileScope scope(profile_, Phase::backward, "plan");
    const std::size_t before = arena.used_bytes();
    plan_.mark_live(nodes_, slots_, start_slot);
    check_required();
    plan_.make(nodes_, slots_, arena);
    scope.allocated(static_cast<std::int64_t>(arena.used_bytes() - before));
  }
  if (schedule == Schedule::serial) {
    run_serial();
  } else {
    run_tbb();
  }
  clear_unreached_leaves();
}

void Graph::check_required() const {
  for (const std::int32_t slot : required_) {
    if (slots_[static_cast<std::size_t>(slot)].reached) continue;
    fail(
        "backward: a fused loss of this tape was not reached; start backward at a tensor that depends on "
        "this loss");
  }
}

void Graph::start(GradientSlot& slot) {
  parallel_fill(static_cast<std::byte*>(slot.gradient), slot.gradient_bytes(), std::byte{0});
  slot.started = true;
}

// If the loss does not depend on a leaf with LeafGradient::overwrite, sets the leaf's gradient to zero.
// Otherwise the leaf would keep the gradient of the previous step.
void Graph::clear_unreached_leaves() {
  for (GradientSlot& slot : slots_) {
    if (slot.is_leaf && !slot.started) start(slot);
  }
}

void Graph::backward(const Tensor& loss, float seed, Schedule schedule, Arena& arena) {
  GradientSlot& slot = slots_[static_cast<std::size_t>(loss.slot())];
  if (ran_) fail("backward: called twice on one tape, expected clear() between the two calls");
  if (slot.is_leaf) fail("backward: the loss is a leaf, expected the result of an op");
  slot.gradient = arena.allocate(static_cast<std::size_t>(slot.gradient_bytes()));
  *Gradients(*this).sum_into(loss) = seed;  // the other elements are 0, if loss is a view of one
  run(loss.slot(), schedule, arena);
}

void Graph::backward_from(const Tensor& y, const float* dy, Arena& arena) {
  GradientSlot& slot = slots_[static_cast<std::size_t>(y.slot())];
  if (ran_) fail("backward: called twice on one tape, expected clear() between the two calls");
  if (slot.is_leaf || slot.values != y.raw() || slot.count != y.numel()) {
    fail("backward: starts at a leaf or at a part of a tensor, expected the whole result of an op");
  }
  slot.gradient = const_cast<float*>(dy);  // backward only reads dy: nothing adds to it
  slot.started = slot.is_leaf = true;      // is_leaf is true so that the plan does not reuse dy
  run(y.slot(), Schedule::tbb, arena);
}

// ---- Recording ----

std::int32_t Graph::add_slot(const void* values, std::int64_t count, DType dtype, float* leaf_gradient,
                             bool started) {
  GradientSlot slot;
  slot.values = values;
  slot.count = count;
  slot.dtype = dtype;
  slot.gradient = leaf_gradient;
  slot.is_leaf = leaf_gradient != nullptr;
  slot.started = started;
  slots_.push_back(slot);
  return static_cast<std::int32_t>(slots_.size() - 1);
}

std::int32_t Graph::find_leaf(const float* leaf_gradient) const {
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    if (slots_[s].gradient == leaf_gradient) return static_cast<std::int32_t>(s);
  }
  return Tensor::kNoGradient;
}

bool Graph::knows(const Tensor& x) const {
  if (x.slot() < 0 || x.slot() >= std::ssize(slots_)) return false;
  const GradientSlot& slot = slots_[static_cast<std::size_t>(x.slot())];
  const auto *begin = static_cast<const std::byte*>(slot.values),
             *at = static_cast<const std::byte*>(x.raw());
  const auto* end = begin + slot.gradient_bytes();
  return at >= begin && (at < end || (at == end && x.numel() == 0));
}

GraphNode& Graph::add_node() {
  return nodes_.emplace_back();
}

void Graph::clear() {
  nodes_.clear();
  slots_.clear();
  required_.clear();
  ran_ = false;
}

// ---- The gradients that a node reads and writes ----

GradientSlot& Gradients::slot_of(const Tensor& x, DType dtype) {
  assert(x.has_gradient());
  GradientSlot& slot = graph_.slots_[static_cast<std::size_t>(x.slot())];
  if (slot.dtype != dtype) {
    fail("gradient of tensor ", x.shape(), ": dtype is ", name(slot.dtype), ", expected ", name(dtype));
  }
  return slot;
}

void* Gradients::at(const GradientSlot& slot, const Tensor& x) const {
  const auto offset = static_cast<const std::byte*>(x.raw()) - static_cast<const std::byte*>(slot.values);
  return static_cast<std::byte*>(slot.gradient) + offset;
}

const void* Gradients::complete(const Tensor& y, DType dtype) {
  GradientSlot& slot = slot_of(y, dtype);
  if (!slot.started) graph_.start(slot);
  return at(slot, y);
}

GradientTarget<void> Gradients::target_of(const Tensor& x, DType dtype) {
  GradientSlot& slot = slot_of(x, dtype);
  if (!slot.started) {
    if (x.contiguous() && x.numel() == slot.count) {
      slot.started = true;
      return {slot.gradient, false};
    }
    graph_.start(slot);  // x is a view of a part of the slot: the rest must be zero
  }
  return {at(slot, x), true};
}

float* Gradients::sum_into(const Tensor& x) {
  GradientSlot& slot = slot_of(x, DType::f32);
  if (!slot.started) graph_.start(slot);
  return static_cast<float*>(at(slot, x));
}

}  // namespace inkling
