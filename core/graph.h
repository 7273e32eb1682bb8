// The autograd graph: nodes, the gradients between them, and the order in which backward runs them.
//
// The tape appends nodes in forward order. backward() goes through them in reverse order. Node b must wait
// for node a in three cases:
//   - b reads a gradient that a adds to (the chain rule: a sum must be complete before it is used),
//   - both add to the same gradient: they run in reverse tape order, so the order of the sum is fixed and no
//     lock is needed,
//   - b's gradient uses the memory of a gradient that a still reads.
// Each node counts the nodes that it waits for. run_tbb() counts them down atomically and starts a node when
// its count reaches 0. run_serial() is a ten-line loop; tests compare the two. Both give the same bits.
//
// The memory of gradients is planned before the run, in one walk over the nodes in serial order. A gradient
// gets a buffer when its first writer runs. When its last reader has finished, the buffer is free for another
// gradient of the same size. The two most recently freed buffers of a size are not reused yet: otherwise the
// next node would often have to wait for a slow reader, such as dW, which is not on the critical path.
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

// Where a node writes a gradient. If `accumulate` is false, the node is the first writer and must assign;
// otherwise it must add.
template <class T = float>
struct GradientTarget {
  T* data;
  bool accumulate;
};

struct GraphNode {
  static constexpr std::size_t kMaxEnds = 6;
  using Run = void (*)(const void* capture, Gradients& gradients);

  const char* name = "";
  Shape shape;  // of the first gradient that it reads, for the profile
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
  // Adds a slot: the gradient of `values`, a block of `count` numbers of this dtype. A leaf brings its own
  // buffer; for other slots the plan chooses one.
  std::int32_t add_slot(const void* values, std::int64_t count, DType dtype, float* leaf_gradient,
                        bool started);
  std::int32_t find_leaf(const float* leaf_gradient) const;  // Tensor::kNoGradient if there is none
  // True if x's slot belongs to this graph and to the memory that x views. False for a tensor of another
  // tape, and for a tensor made before clear(), unless a new tensor has the same slot and memory by now.
  bool knows(const Tensor& x) const;
  GraphNode& add_node();
  // backward() must reach this slot: its op has written gradients of its inputs already.
  void require(std::int32_t slot) { required_.push_back(slot); }
  void clear();

  // Runs every node that `loss` depends on. May be called once after each clear(). `seed` is the gradient of
  // the loss itself. The memory for gradients comes from `arena`.
  void backward(const Tensor& loss, float seed, Schedule schedule, Arena& arena);

  // The same, but starts from a tensor y whose gradient dy the caller provides.
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
  struct Buffer {  // the memory of a gradient that is no longer needed, and the readers to wait for before
                   // reuse
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
  void check_required() const;
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
  std::vector<std::int32_t> required_;  // slots that backward must reach
  Profile* profile_ = nullptr;
  bool ran_ = false;

  // The plan. All vectors keep their capacity from step to step.
  std::vector<std::uint8_t> live_;             // for each node: whether the loss depends on it
  std::vector<std::int32_t> first_successor_;  // for each node: the start of its list in successors_
  std::vector<Link> successors_;
  std::vector<Link> reader_links_;
  std::vector<std::int32_t> predecessors_;             // for each node: how many nodes it waits for
  std::vector<Buffer> resting_;                        // free buffers, oldest first
  std::unique_ptr<std::atomic<std::int32_t>[]> open_;  // for each node: how many of these have not finished
  std::size_t open_capacity_ = 0;
};

// The interface through which a node's function reads and writes gradients while backward runs.
class Gradients {
 public:
  explicit Gradients(Graph& graph) : graph_(graph) {}

  // The complete gradient of an op's output, at the offset and with the strides of the view `y`.
  template <class T = float>
  const T* of(const Tensor& y) {
    return static_cast<const T*>(complete(y, dtype_of<T>));
  }
  // Where to write the gradient of an input, and whether to assign or to add. A node that assigns must write
  // all of x's elements.
  template <class T = float>
  GradientTarget<T> target(const Tensor& x) {
    const auto [data, accumulate] = target_of(x, dtype_of<T>);
    return {static_cast<T*>(data), accumulate};
  }
  // The same for kernels that can only add: a buffer that was not written yet is set to zero first.
  float* sum_into(const Tensor& x);

 private:
  Graph::Slot& slot_of(const Tensor& x, DType dtype);
  void* at(const Graph::Slot& slot, const Tensor& x) const;
  const void* complete(const Tensor& y, DType dtype);
  GradientTarget<void> target_of(const Tensor& x, DType dtype);

  Graph& graph_;
};

}  // namespace inkling
