#include "core/backward_plan.h"

#include <algorithm>
#include <cassert>

namespace inkling {

namespace {

// kRestingBuffers: if no more than this many free buffers of one size exist, none of them is reused. With
// two, the nodes that compute dX and dW of a layer do not wait for each other. More than two would only cost
// memory.
constexpr std::int64_t kRestingBuffers = 2;

}  // namespace

// Finds the live nodes. A node is live if the loss depends on an output whose gradient the node reads. Then
// the loss depends on the node's inputs too.
void BackwardPlan::mark_live(const std::vector<GraphNode>& nodes, std::vector<GradientSlot>& slots,
                             std::int32_t start) {
  live_.assign(nodes.size(), 0);
  states_.assign(slots.size(), {});
  slots[static_cast<std::size_t>(start)].reached = true;
  for (std::size_t n = nodes.size(); n-- > 0;) {
    const GraphNode& node = nodes[n];
    for (const std::int32_t slot : node.reads) {
      if (slots[static_cast<std::size_t>(slot)].reached) live_[n] = 1;
    }
    if (live_[n] == 0) continue;
    for (const std::int32_t slot : node.reads) ++states_[static_cast<std::size_t>(slot)].open_readers;
    for (const std::int32_t slot : node.adds_to) slots[static_cast<std::size_t>(slot)].reached = true;
  }
}

void BackwardPlan::link(std::int32_t before, std::int32_t after) {
  if (before == kNone || before == after) return;
  std::int32_t& first = first_successor_[static_cast<std::size_t>(before)];
  successors_.push_back({after, first});
  first = static_cast<std::int32_t>(successors_.size() - 1);
  ++predecessors_[static_cast<std::size_t>(after)];
}

// Gives a gradient its memory. Node `for_node` is the first node that uses the gradient. The memory is the
// oldest free buffer of the same size, if more than kRestingBuffers buffers of this size are free. Otherwise
// it is new memory.
void BackwardPlan::give_buffer(GradientSlot& slot, std::int32_t for_node, Arena& arena) {
  const std::int64_t bytes = slot.gradient_bytes();
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

void BackwardPlan::make(const std::vector<GraphNode>& nodes, std::vector<GradientSlot>& slots, Arena& arena) {
  first_successor_.assign(nodes.size(), kNone);
  predecessors_.assign(nodes.size(), 0);
  successors_.clear();
  reader_links_.clear();
  resting_.clear();
  for (std::size_t index = nodes.size(); index-- > 0;) {
    if (live_[index] == 0) continue;
    const GraphNode& node = nodes[index];
    const auto n = static_cast<std::int32_t>(index);
    for (const std::int32_t slot : node.reads) {
      const auto s = static_cast<std::size_t>(slot);
      if (slots[s].gradient == nullptr) {
        // the loss does not use this output: its first reader writes zeros, and its other readers wait for
        // the first
        give_buffer(slots[s], n, arena);
        states_[s].last_adder = n;
      }
      link(states_[s].last_adder, n);
    }
    for (const std::int32_t slot : node.adds_to) {
      const auto s = static_cast<std::size_t>(slot);
      // An op that uses a tensor is recorded after the op that made it, so no reader has seen an incomplete
      // sum.
      assert(states_[s].first_reader_link == kNone);
      if (slots[s].gradient == nullptr) give_buffer(slots[s], n, arena);
      link(states_[s].last_adder, n);
      states_[s].last_adder = n;
    }
    for (const std::int32_t slot : node.reads) {
      const auto s = static_cast<std::size_t>(slot);
      reader_links_.push_back({n, states_[s].first_reader_link});
      states_[s].first_reader_link = static_cast<std::int32_t>(reader_links_.size() - 1);
      if (--states_[s].open_readers == 0 && !slots[s].is_leaf) {
        resting_.push_back({slots[s].gradient, slots[s].gradient_bytes(), states_[s].first_reader_link});
      }
    }
  }
}

}  // namespace inkling
