// The plan of a backward pass: which nodes run, which nodes each node must wait for, and where the gradients
// are stored.
//
// Node b must wait for node a in three cases:
//   - Node b reads a gradient that a adds to (the chain rule: a sum must be complete before it is used).
//   - Both nodes add to the same gradient: they run in reverse tape order, so the order of the sum is fixed
//     and no lock is needed.
//   - The gradient of b is stored in memory whose previous gradient a still reads.
//
// Memory: the plan is made in one loop over the nodes in serial order. A gradient gets a buffer when its
// first writer runs. When its last reader has finished, the buffer is free for another gradient of the same
// size. The two most recently freed buffers of a size are not reused yet: otherwise the next node would often
// have to wait for a slow reader, such as the node that computes dW, which is not on the critical path.
//
// All vectors of the plan keep their capacity from step to step. Read next: core/graph.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph_node.h"
#include "core/memory.h"

namespace inkling {

class BackwardPlan {
 public:
  // Finds the nodes that must run to differentiate the slot `start`, and sets `reached` of their slots.
  void mark_live(const std::vector<GraphNode>& nodes, std::vector<GradientSlot>& slots, std::int32_t start);
  // Finds the nodes that each live node waits for, and gives every reached slot a buffer from `arena`.
  void make(const std::vector<GraphNode>& nodes, std::vector<GradientSlot>& slots, Arena& arena);

  bool live(std::size_t node) const { return live_[node] != 0; }
  std::int32_t predecessors(std::size_t node) const { return predecessors_[node]; }
  // The node that completes the gradient of a slot, or -1: the last live node that adds to it.
  std::int32_t last_adder(std::int32_t slot) const {
    return states_[static_cast<std::size_t>(slot)].last_adder;
  }

  // Calls f(successor) for every node that waits for `node`.
  template <class F>
  void for_each_successor(std::int32_t node, F f) const {
    for (std::int32_t l = first_successor_[static_cast<std::size_t>(node)]; l != kNone;) {
      const Link& link = successors_[static_cast<std::size_t>(l)];
      l = link.next;
      f(link.node);
    }
  }

 private:
  static constexpr std::int32_t kNone = -1;

  // An entry of a linked list of nodes.
  struct Link {
    std::int32_t node;
    std::int32_t next;
  };
  // What make() knows about a slot while it loops over the nodes.
  struct SlotState {
    std::int32_t open_readers = 0;           // live nodes that have not read the slot yet
    std::int32_t last_adder = kNone;         // the node that added to the slot most recently
    std::int32_t first_reader_link = kNone;  // the list in reader_links_ of the nodes that read the slot
  };
  // The memory of a gradient that no node needs any more, and the readers that must finish before it is
  // reused.
  struct Buffer {
    void* data = nullptr;
    std::int64_t size_bytes = 0;
    std::int32_t first_reader_link = kNone;
  };

  void give_buffer(GradientSlot& slot, std::int32_t for_node, Arena& arena);
  void link(std::int32_t before, std::int32_t after);

  std::vector<std::uint8_t> live_;             // live_[n] says whether node n runs
  std::vector<std::int32_t> first_successor_;  // the start of each node's list in successors_
  std::vector<std::int32_t> predecessors_;     // the number of nodes that each node waits for
  std::vector<Link> successors_;
  std::vector<Link> reader_links_;
  std::vector<SlotState> states_;  // the state of each slot
  std::vector<Buffer> resting_;    // the free buffers, the oldest first
};

}  // namespace inkling
