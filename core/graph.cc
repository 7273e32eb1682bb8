#include "core/graph.h"

#include <algorithm>
#include <cassert>

#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

// Dead buffers of one size that stay unused before the oldest is given away. Two keep dX and dW of a layer
// independent of each other; more would only cost memory.
constexpr std::int64_t kRestingBuffers = 2;

constexpr std::int32_t kNone = -1;

}  // namespace

std::int32_t Graph::add_slot(const void* values, std::int64_t count, DType dtype, float* leaf_gradient,
                             bool started) {
  Slot slot;
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
  const Slot& slot = slots_[static_cast<std::size_t>(x.slot())];
  const auto *begin = static_cast<const std::byte*>(slot.values),
             *at = static_cast<const std::byte*>(x.raw());
  return at >= begin && at < begin + std::max<std::int64_t>(1, slot.count * size_bytes(slot.dtype));
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

// A node is live if the loss depends on one of the outputs whose gradient it reads; then it depends on the
// node's inputs too.
void Graph::mark_live(std::int32_t loss_slot) {
  live_.assign(nodes_.size(), 0);
  slots_[static_cast<std::size_t>(loss_slot)].reached = true;
  for (std::size_t n = nodes_.size(); n-- > 0;) {
    const GraphNode& node = nodes_[n];
    for (std::size_t r = 0; r < node.read_count; ++r) {
      if (slots_[static_cast<std::size_t>(node.reads[r])].reached) live_[n] = 1;
    }
    if (live_[n] == 0) continue;
    for (std::size_t r = 0; r < node.read_count; ++r)
      ++slots_[static_cast<std::size_t>(node.reads[r])].open_readers;
    for (std::size_t a = 0; a < node.add_count; ++a)
      slots_[static_cast<std::size_t>(node.adds_to[a])].reached = true;
  }
}

void Graph::check_required() const {
  for (const std::int32_t slot : required_) {
    if (slots_[static_cast<std::size_t>(slot)].reached) continue;
    fail(
        "backward: a loss on this tape has written gradients in its forward pass, and is not part of the "
        "loss "
        "that backward started from");
  }
}

void Graph::link(std::int32_t before, std::int32_t after) {
  if (before == kNone || before == after) return;
  std::int32_t& first = first_successor_[static_cast<std::size_t>(before)];
  successors_.push_back({after, first});
  first = static_cast<std::int32_t>(successors_.size() - 1);
  ++predecessors_[static_cast<std::size_t>(after)];
}

// Finds memory for a gradient that `for_node` is the first to touch: the oldest resting buffer of its size,
// or new memory.
void Graph::give_buffer(Slot& slot, std::int32_t for_node, Arena& arena) {
  const std::int64_t bytes = slot.count * size_bytes(slot.dtype);
  const auto same_size = [&](const Buffer& buffer) { return buffer.size_bytes == bytes; };
  const auto oldest = std::find_if(resting_.begin(), resting_.end(), same_size);
  if (oldest != resting_.end() && std::count_if(oldest, resting_.end(), same_size) > kRestingBuffers) {
    slot.gradient = oldest->data;
    for (std::int32_t l = oldest->first_reader_link; l != kNone;
         l = reader_links_[static_cast<std::size_t>(l)].next) {
      link(reader_links_[static_cast<std::size_t>(l)].node, for_node);
    }
    resting_.erase(oldest);
    return;
  }
  slot.gradient = arena.allocate(static_cast<std::size_t>(bytes));
}

void Graph::plan(Arena& arena) {
  first_successor_.assign(nodes_.size(), kNone);
  predecessors_.assign(nodes_.size(), 0);
  successors_.clear();
  reader_links_.clear();
  resting_.clear();
  for (std::size_t index = nodes_.size(); index-- > 0;) {
    if (live_[index] == 0) continue;
    const GraphNode& node = nodes_[index];
    const auto n = static_cast<std::int32_t>(index);
    for (std::size_t r = 0; r < node.read_count; ++r) {
      Slot& slot = slots_[static_cast<std::size_t>(node.reads[r])];
      if (slot.gradient == nullptr) {
        // an output the loss does not use: its first reader writes zeros, others wait for it
        give_buffer(slot, n, arena);
        slot.last_adder = n;
      }
      link(slot.last_adder, n);
    }
    for (std::size_t a = 0; a < node.add_count; ++a) {
      Slot& slot = slots_[static_cast<std::size_t>(node.adds_to[a])];
      // whoever uses a tensor was recorded after its maker: no sum is read half done
      assert(slot.first_reader_link == kNone);
      if (slot.gradient == nullptr) give_buffer(slot, n, arena);
      link(slot.last_adder, n);
      slot.last_adder = n;
    }
    for (std::size_t r = 0; r < node.read_count; ++r) {
      Slot& slot = slots_[static_cast<std::size_t>(node.reads[r])];
      reader_links_.push_back({n, slot.first_reader_link});
      slot.first_reader_link = static_cast<std::int32_t>(reader_links_.size() - 1);
      if (--slot.open_readers == 0 && !slot.is_leaf) {
        resting_.push_back({slot.gradient, slot.count * size_bytes(slot.dtype), slot.first_reader_link});
      }
    }
  }
}

void Graph::backward(const Tensor& loss, float seed, Schedule schedule, Arena& arena) {
  Slot& slot = slots_[static_cast<std::size_t>(loss.slot())];
  if (ran_) fail("backward: called twice on one tape, expected clear() in between");
  if (slot.is_leaf) fail("backward: the loss is a leaf, expected the result of an op");
  slot.gradient = arena.allocate(static_cast<std::size_t>(slot.count * size_bytes(slot.dtype)));
  *Gradients(*this).sum_into(loss) = seed;  // zero around it, if the loss is one element of a block
  run(loss.slot(), schedule, arena);
}

void Graph::backward_from(const Tensor& y, const float* dy, Arena& arena) {
  Slot& slot = slots_[static_cast<std::size_t>(y.slot())];
  if (ran_) fail("backward: called twice on one tape, expected clear() in between");
  if (slot.is_leaf || slot.values != y.raw() || slot.count != y.numel()) {
    fail("backward: starts at a leaf or a part of a tensor, expected the whole result of an op");
  }
  slot.gradient = const_cast<float*>(dy);  // only read: what is complete is not added to
  slot.started = slot.is_leaf = true;      // a leaf's buffer is not the plan's to give away
  run(y.slot(), Schedule::tbb, arena);
}

void Graph::run(std::int32_t start_slot, Schedule schedule, Arena& arena) {
  ran_ = true;
  {
    ProfileScope scope(profile_, Phase::backward, "plan");
    const std::size_t before = arena.used_bytes();
    mark_live(start_slot);
    check_required();
    plan(arena);
    scope.allocated(static_cast<std::int64_t>(arena.used_bytes() - before));
  }
  if (schedule == Schedule::serial) {
    run_serial();
  } else {
    run_tbb();
  }
  clear_unreached_leaves();
}

// The oracle: reverse tape order satisfies every link.
void Graph::run_serial() {
  for (std::size_t n = nodes_.size(); n-- > 0;) {
    if (live_[n] != 0) run_node(static_cast<std::int32_t>(n));
  }
}

// A finished node counts down its successors. Of those that became ready it goes on with the one recorded
// last, which lies on the critical path (an op records dX after dW), and leaves the others to idle threads.
void Graph::run_tbb() {
  if (open_capacity_ < nodes_.size()) {
    open_capacity_ = nodes_.size() + nodes_.size() / 2;
    open_ = std::make_unique<std::atomic<std::int32_t>[]>(open_capacity_);
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n) open_[n].store(predecessors_[n], std::memory_order_relaxed);

  const auto spawn_ready = [this](Tasks& tasks) {
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      if (live_[n] != 0 && predecessors_[n] == 0) tasks.spawn(static_cast<std::int32_t>(n));
    }
  };
  run_tasks(spawn_ready, [this](Tasks& tasks, std::int32_t node) {
    while (node != kNone) {
      run_node(node);
      std::int32_t next = kNone;
      for (std::int32_t l = first_successor_[static_cast<std::size_t>(node)]; l != kNone;) {
        const Link& successor = successors_[static_cast<std::size_t>(l)];
        l = successor.next;
        if (open_[static_cast<std::size_t>(successor.node)].fetch_sub(1, std::memory_order_acq_rel) != 1)
          continue;
        const std::int32_t spawned = std::min(next, successor.node);
        next = std::max(next, successor.node);
        if (spawned != kNone) tasks.spawn(spawned);
      }
      node = next;
    }
  });
}

void Graph::run_node(std::int32_t n) {
  const GraphNode& node = nodes_[static_cast<std::size_t>(n)];
  ProfileScope scope(profile_, Phase::backward, node.name, node.shape, node.work);
  scope.of_node(n);
  Gradients gradients(*this);
  node.run(node.capture, gradients);
}

void Graph::start(Slot& slot) {
  // an arena's blocks are whole cache lines: the last float of a bf16 gradient may be half its own
  parallel_fill(static_cast<float*>(slot.gradient), ceil_div(slot.count * size_bytes(slot.dtype), 4), 0.0f);
  slot.started = true;
}

// A leaf whose gradient was to be overwritten but that the loss does not depend on has gradient zero, not
// last step's.
void Graph::clear_unreached_leaves() {
  for (Slot& slot : slots_) {
    if (slot.is_leaf && !slot.started) start(slot);
  }
}

Graph::Slot& Gradients::slot_of(const Tensor& x, DType dtype) {
  assert(x.has_gradient());
  Graph::Slot& slot = graph_.slots_[static_cast<std::size_t>(x.slot())];
  if (slot.dtype != dtype) {
    fail("gradient of tensor ", x.shape(), ": dtype is ", name(slot.dtype), ", expected ", name(dtype));
  }
  return slot;
}

void* Gradients::at(const Graph::Slot& slot, const Tensor& x) const {
  const auto offset = static_cast<const std::byte*>(x.raw()) - static_cast<const std::byte*>(slot.values);
  return static_cast<std::byte*>(slot.gradient) + offset;
}

const void* Gradients::complete(const Tensor& y, DType dtype) {
  Graph::Slot& slot = slot_of(y, dtype);
  if (!slot.started) graph_.start(slot);
  return at(slot, y);
}

GradientTarget<void> Gradients::target_of(const Tensor& x, DType dtype) {
  Graph::Slot& slot = slot_of(x, dtype);
  if (!slot.started) {
    if (x.contiguous() && x.numel() == slot.count) {
      slot.started = true;
      return {slot.gradient, false};
    }
    graph_.start(slot);  // a view of a part: the rest must be zero, too
  }
  return {at(slot, x), true};
}

float* Gradients::sum_into(const Tensor& x) {
  Graph::Slot& slot = slot_of(x, DType::f32);
  if (!slot.started) graph_.start(slot);
  return static_cast<float*>(at(slot, x));
}

}  // namespace inkling
