// The autograd graph: the nodes of one forward pass, their gradients, and the two ways to run them backward.
//
// The tape appends nodes in forward order. backward() makes a plan (core/backward_plan.h): which nodes the
// loss depends on, and which nodes each of these nodes must wait for. run_serial() runs the nodes in reverse
// order; it is four lines long, and tests compare all other results with its result. run_tbb() counts, for
// each node, the nodes that it still waits for, and starts the node when the count is 0. Both functions give
// the same bits.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/backward_plan.h"
#include "core/graph_node.h"
#include "core/memory.h"
#include "core/profile.h"
#include "core/tensor.h"

namespace inkling {

// The place where a node writes a gradient. If `accumulate` is false, the node is the first writer and must
// assign; otherwise the node must add.
template <class T = float>
struct GradientTarget {
  T* data;
  bool accumulate;
};

enum class Schedule { serial, tbb };

class Graph {
 public:
  // Adds a slot to the graph: the gradient of `values`, a block of `count` numbers of this dtype. A leaf has
  // its own gradient buffer, `leaf_gradient`; for other slots (nullptr), the plan chooses a buffer.
  std::int32_t add_slot(const void* values, std::int64_t count, DType dtype, float* leaf_gradient,
                        bool started);
  std::int32_t find_leaf(const float* leaf_gradient) const;  // returns Tensor::kNoGradient if there is none
  // True if x's slot belongs to this graph and x views memory of this slot. False for a tensor of another
  // tape, and for a tensor made before clear(), unless a new tensor has the same slot and memory by now.
  bool knows(const Tensor& x) const;
  GraphNode& add_node();
  // After require(slot), a backward pass that does not reach this slot is an Error. An op calls it if it has
  // already written gradients of its inputs in the forward pass.
  void require(std::int32_t slot) { required_.push_back(slot); }
  void clear();

  // A function that backward() calls for each leaf that the loss depends on, as soon as the leaf's gradient
  // is complete, while other nodes still run. Many threads may call it at the same time.
  using LeafDone = std::function<void(const float* gradient, std::int64_t count)>;
  void on_leaf_done(LeafDone leaf_done) { leaf_done_ = std::move(leaf_done); }

  // Runs every node that `loss` depends on. backward() may be called once after each clear(). `seed` is the
  // gradient of the loss itself. The memory for gradients comes from `arena`.
  void backward(const Tensor& loss, float seed, Schedule schedule, Arena& arena);

  // Like backward(), but starts from a tensor y whose gradient dy the caller provides.
  void backward_from(const Tensor& y, const float* dy, Arena& arena);

  // For tests, and for the benchmark that simulates a step on more cores (bench/schedule_simulation.h).
  std::size_t node_count() const { return nodes_.size(); }
  const GraphNode& node(std::size_t i) const { return nodes_[i]; }
  // The plan of the last backward(): which nodes ran, and which nodes had to run before which.
  const BackwardPlan& plan() const { return plan_; }

 private:
  friend class Gradients;
  friend class Tape;

  void run(std::int32_t start_slot, Schedule schedule, Arena& arena);
  void check_required() const;
  void run_serial();
  void run_tbb();
  void run_node(std::int32_t node);
  void report_leaves(std::int32_t node) const;
  void start(GradientSlot& slot);
  void clear_unreached_leaves();

  std::vector<GraphNode> nodes_;
  std::vector<GradientSlot> slots_;
  std::vector<std::int32_t> required_;  // the slots that backward must reach
  BackwardPlan plan_;
  Profile* profile_ = nullptr;
  LeafDone leaf_done_;
  bool ran_ = false;
  std::unique_ptr<std::atomic<std::int32_t>[]> open_;  // for each node: nodes that it still waits for
  std::size_t open_capacity_ = 0;
};

// The interface through which a node's function reads and writes gradients while backward runs.
class Gradients {
 public:
  explicit Gradients(Graph& graph) : graph_(graph) {}

  // Returns the complete gradient of an op's output, at the offset and with the strides of the view `y`.
  template <class T = float>
  const T* of(const Tensor& y) {
    return static_cast<const T*>(complete(y, dtype_of<T>));
  }
  // Returns where to write the gradient of the input x, and whether to assign or to add. A node that assigns
  // must write all of x's elements.
  template <class T = float>
  GradientTarget<T> target(const Tensor& x) {
    const auto [data, accumulate] = target_of(x, dtype_of<T>);
    return {static_cast<T*>(data), accumulate};
  }
  // Like target(), for kernels that can only add: if nothing has been written to the buffer yet, it is set to
  // zero first.
  float* sum_into(const Tensor& x);

 private:
  GradientSlot& slot_of(const Tensor& x, DType dtype);
  void* at(const GradientSlot& slot, const Tensor& x) const;
  const void* complete(const Tensor& y, DType dtype);
  GradientTarget<void> target_of(const Tensor& x, DType dtype);

  Graph& graph_;
};

}  // namespace inkling
