// The autograd graph: nodes, the gradients between them, and the order in which backward runs them.
//
// The tape appends nodes in forward order. backward walks them in reverse and links node b behind node a when
//   - b reads a gradient that a adds to (chain rule: a sum must be complete before it is used),
//   - both add to the same gradient: they are chained in reverse tape order, so a sum has one order and needs
//     no locks,
//   - b's gradient is given the memory of one that a still reads.
// What is linked is run by the number of open predecessors: run_tbb() counts them down atomically and spawns
// what is ready, run_serial() is the ten-line walk that tests hold it against. Both give the same bits.
//
// Memory of gradients is planned before the run, by walking the nodes once in serial order: a gradient is
// born when its first writer runs, and dies when its last reader is done; its buffer then serves another of
// the same size. A few dead buffers are left to rest before they are reused, so that a slow reader (dW, off
// the critical path) holds nobody up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/memory.h"
#include "core/profile.h"
#include "core/tensor.h"

namespace inkling {

class Graph;
class Gradients;

// Where a node puts a gradient: `accumulate` false means that nothing was written yet and the node is to
// assign.
template <class T = float>
struct GradientTarget {
  T* data;
  bool accumulate;
};

struct GraphNode {
  static constexpr std::size_t kMaxEnds = 6;
  using Run = void (*)(const void* capture, Gradients& gradients);

  const char* name = "";
  Shape shape;  // of what it reads first, for the profile
  Work work;
  Run run = nullptr;
  const void* capture = nullptr;
  std::array<std::int32_t, kMaxEnds> reads{};    // slots of gradients
  std::array<std::int32_t, kMaxEnds> adds_to{};  // slots of gradients
  std::uint8_t read_count = 0;
  std::uint8_t add_count = 0;
};

enum class Schedule { serial, tbb };

class Graph {
 public:
  // A gradient to be: that of `values`, a block of `count` numbers; it has their dtype. A leaf brings its
  // buffer, others get one by the plan.
  std::int32_t add_slot(const void* values, std::int64_t count, DType dtype, float* leaf_gradient,
                        bool started);
  std::int32_t find_leaf(const float* leaf_gradient) const;  // Tensor::kNoGradient if there is none
  // Whether x's slot is one of these, and that of the memory it views: not so for a tensor of another tape,
  // or from before clear() unless another took its place.
  bool knows(const Tensor& x) const;
  GraphNode& add_node();
  void clear();

  // Runs every node that `loss` depends on; once between two clear()s. `seed` is the gradient of the loss
  // itself. Memory for gradients comes from `arena`.
  void backward(const Tensor& loss, float seed, Schedule schedule, Arena& arena);

  // The same from a tensor y whose gradient the caller has.
  void backward_from(const Tensor& y, const float* dy, Arena& arena);

  std::size_t node_count() const { return nodes_.size(); }
  const GraphNode& node(std::size_t i) const { return nodes_[i]; }

  // After backward(): calls f(successor) for every node that had to wait for `node`.
  template <class F>
  void for_each_successor(std::int32_t node, F f) const {
    for (std::int32_t l = first_successor_[static_cast<std::size_t>(node)]; l >= 0;
         l = successors_[static_cast<std::size_t>(l)].next) {
      f(successors_[static_cast<std::size_t>(l)].node);
    }
  }

 private:
  friend class Gradients;
  friend class Tape;

  struct Slot {
    const void* values = nullptr;
    std::int64_t count = 0;
    DType dtype = DType::f32;
    void* gradient = nullptr;
    bool is_leaf = false;
    bool started = false;                 // something was written to `gradient` in this step
    bool reached = false;                 // the loss depends on it
    std::int32_t open_readers = 0;        // used by the plan: live nodes that have yet to read it
    std::int32_t last_adder = -1;         // used by the plan: the node that added to it most recently
    std::int32_t first_reader_link = -1;  // used by the plan: list in reader_links_ of the nodes that read it
  };
  struct Buffer {  // memory of a dead gradient, and whose readers must be done before it lives again
    void* data = nullptr;
    std::int64_t size_bytes = 0;
    std::int32_t first_reader_link = -1;
  };
  struct Link {
    std::int32_t node;
    std::int32_t next;
  };

  void run(std::int32_t start_slot, Schedule schedule, Arena& arena);
  void mark_live(std::int32_t loss_slot);
  void plan(Arena& arena);
  void give_buffer(Slot& slot, std::int32_t for_node, Arena& arena);
  void link(std::int32_t before, std::int32_t after);
  void run_serial();
  void run_tbb();
  void run_node(std::int32_t node);
  void start(Slot& slot);
  void clear_unreached_leaves();

  std::vector<GraphNode> nodes_;
  std::vector<Slot> slots_;
  Profile* profile_ = nullptr;
  bool ran_ = false;

  // The plan. All vectors keep their capacity from step to step.
  std::vector<std::uint8_t> live_;             // a node
  std::vector<std::int32_t> first_successor_;  // a node: list in successors_
  std::vector<Link> successors_;
  std::vector<Link> reader_links_;
  std::vector<std::int32_t> predecessors_;             // a node: how many
  std::vector<Buffer> resting_;                        // dead buffers, oldest first
  std::unique_ptr<std::atomic<std::int32_t>[]> open_;  // a node: predecessors yet to finish
  std::size_t open_capacity_ = 0;
};

// What a node's function sees while backward runs.
class Gradients {
 public:
  explicit Gradients(Graph& graph) : graph_(graph) {}

  // The gradient of an op's output, complete; at the place and with the strides of the view `y`.
  template <class T = float>
  const T* of(const Tensor& y) {
    return static_cast<const T*>(complete(y, dtype_of<T>));
  }
  // Where to put the gradient of an input: assign or accumulate, as told. Assigning must write all of x's
  // elements.
  template <class T = float>
  GradientTarget<T> target(const Tensor& x) {
    const auto [data, accumulate] = target_of(x, dtype_of<T>);
    return {static_cast<T*>(data), accumulate};
  }
  // The same for kernels that only accumulate: what was not written yet is zero.
  float* sum_into(const Tensor& x);

 private:
  Graph::Slot& slot_of(const Tensor& x, DType dtype);
  void* at(const Graph::Slot& slot, const Tensor& x) const;
  const void* complete(const Tensor& y, DType dtype);
  GradientTarget<void> target_of(const Tensor& x, DType dtype);

  Graph& graph_;
};

}  // namespace inkling
