// The tape: it records a forward pass so that backward() can compute the gradients.
//
// An op is a function such as `Tensor gelu(Tape& tape, const Tensor& x)`. It computes its result at once,
// into memory that the tape owns. Then it records one or more nodes: a name, the gradients that the node
// reads, the gradients that the node adds to, and the function that computes them. backward(loss) runs the
// nodes in reverse; core/graph.h describes the order and the threads. A tape with Recording::off is for
// inference: the same ops run, but nothing is recorded.
//
//   Tape tape;
//   Tensor w = tape.leaf(weights, gradients, {C, C}, LeafGradient::overwrite);
//   Tensor y = gelu(tape, linear(tape, x, w, b));
//   tape.backward(loss);   // gradients now hold d loss / d w
//   tape.clear();          // removes all nodes and tensors, keeps the memory for the next step
//
// Invariants: a Tensor made by a tape must not be used after clear(). A gradient has the layout of the whole
// memory block that its tensor views. A tape is not thread-safe; only backward() itself runs on many threads.
// Read next: core/graph.h, then ops/gelu.h as a first op.
#pragma once

#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/graph.h"
#include "core/memory.h"
#include "core/tensor.h"

namespace inkling {

enum class LeafGradient {
  overwrite,   // backward() replaces the contents of the leaf's gradient buffer
  accumulate,  // backward() adds to the contents, for example in the second micro-batch of a step
};

enum class Recording { on, off };

class Tape {
 public:
  explicit Tape(Recording recording = Recording::on) : recording_(recording == Recording::on) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  bool recording() const { return recording_; }

  // Makes a leaf, which is a parameter: f32, contiguous. The caller owns `values` and `gradient`; if
  // `gradient` is nullptr, no gradient is computed. A second call with the same `gradient` returns the same
  // leaf: all uses add to one gradient, in the mode of the first call.
  Tensor leaf(float* values, float* gradient, Shape shape, LeafGradient mode);

  // Allocates uninitialised memory for an op's result. The result has a gradient, of the same dtype, if the
  // tape records and at least one of `inputs` has a gradient.
  Tensor output(Shape shape, std::initializer_list<Tensor> inputs, DType dtype = DType::f32);

  // Allocates uninitialised memory that lives until clear() or until a rewind() to an earlier mark. Ops store
  // numbers in it that their backward needs, for example layernorm's mean.
  template <class T = float>
  T* keep(std::int64_t count) {
    return static_cast<T*>(memory_.allocate(static_cast<std::size_t>(count) * sizeof(T)));
  }

  // Records a node. `backward` is a small lambda that captures Tensors, pointers and numbers by value and
  // takes a Gradients&. `reads` are the op's outputs, `adds_to` its inputs. Tensors without a gradient are
  // left out; if `reads` or `adds_to` is then empty, no node is recorded. Nodes recorded later run earlier.
  // `work` tells the profile how much the node computes. `more` are further tensors that the node adds to,
  // for an op whose number of inputs is not fixed.
  template <class F>
  void record(const char* name, std::initializer_list<Tensor> reads, std::initializer_list<Tensor> adds_to,
              const Work& work, F backward, std::span<const Tensor> more = {}) {
    static_assert(std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>,
                  "a node keeps plain values: Tensors, pointers, numbers");
    GraphNode* node = begin_node(name, reads, adds_to, more, work);
    if (node == nullptr) return;
    node->capture = new (memory_.allocate(sizeof(F))) F(std::move(backward));
    node->run = [](const void* capture, Gradients& gradients) {
      (*static_cast<const F*>(capture))(gradients);
    };
  }

  template <class F>
  void record(const char* name, std::initializer_list<Tensor> reads, std::initializer_list<Tensor> adds_to,
              F backward) {
    record(name, reads, adds_to, Work{}, backward);
  }

  // Computes the gradient of `seed` * `loss` for every tensor that the loss depends on. `loss` is a scalar
  // computed on this tape. backward() may be called once after each clear().
  void backward(const Tensor& loss, float seed = 1.0f);
  // Sets how backward() runs the nodes: on all threads (the default), or one after another, for tests and
  // benchmarks.
  void set_schedule(Schedule schedule) { schedule_ = schedule; }

  // Sets a function that backward() calls as soon as the gradient of a leaf is complete (core/graph.h), or
  // removes it (nullptr).
  void on_leaf_done(Graph::LeafDone leaf_done) { graph_.on_leaf_done(std::move(leaf_done)); }

  // Like backward(), but starts from a tensor y whose gradient dy is known. dy has as many floats as y.
  void backward_from(const Tensor& y, const float* dy);

  // Returns the gradient buffer of a leaf, for the one op that writes a gradient in its forward pass
  // (ops/linear_cross_entropy.h). The first caller gets accumulate = false, like the first node that writes a
  // gradient. `result` is the op's result: a backward that does not reach it is an Error, because the
  // gradient would be wrong.
  GradientTarget<> leaf_gradient(const Tensor& leaf, const Tensor& result);

  // Removes all tensors and nodes. The memory stays for the next step.
  void clear();

  // rewind() frees the temporary tensors of a block during inference: everything allocated since mark(),
  // except `kept`, which is moved to the place of the mark and returned. While the tape records, rewind()
  // does nothing and returns `kept` unchanged.
  Arena::Mark mark() const { return memory_.mark(); }
  Tensor rewind(Arena::Mark mark, const Tensor& kept);

  // For core/recompute.h: a piece of the network of which the tape keeps only the result.
  struct Piece {
    Tensor result;                   // has a gradient if x or a leaf of the piece has one
    std::span<const Tensor> leaves;  // the leaves with a gradient that the piece used, each once
  };
  // For core/recompute.h: runs f(tape, x) without recording. All intermediate results are freed.
  template <class F>
  Piece compute_piece(const Tensor& x, F f) {
    const Arena::Mark start = mark();
    const PieceScope scope(*this);
    return keep_piece(x, rewind(start, f(*this, x.detach())));
  }
  // For core/recompute.h: the separate tape on which backward runs f again. Created on first use.
  Tape& inner();
  // For core/recompute.h: makes x, a tensor of the outer tape, a leaf of this tape, whose gradient goes
  // `into` the outer tape's gradient of x.
  Tensor leaf(const Tensor& x, GradientTarget<> into) {
    return leaf(x.f32(), into.data, x.shape(),
                into.accumulate ? LeafGradient::accumulate : LeafGradient::overwrite);
  }
  // For core/recompute.h: a fake leaf. All recompute nodes add to its gradient, so they run one after
  // another, because they share the inner tape.
  Tensor recompute_lock() { return leaf(&lock_, &lock_gradient_, {}, LeafGradient::overwrite); }

  // After profile_into(), every op records an event in `profile` (core/profile.h). nullptr stops the
  // recording.
  void profile_into(Profile* profile) { profile_ = graph_.profile_ = profile; }
  // Opens the profile's event of an op's forward pass. An op calls scope() after it has allocated its result
  // `y` and other memory, just before it computes.
  ProfileScope scope(const char* name, const Tensor& y, const Work& work) {
    return ProfileScope(profile_, phase_, name, y.shape(), work, newly_used_bytes());
  }
  // Opens the profile's event of a part of a step that is not an op, for example of the optimiser's update.
  ProfileScope scope(Phase phase, const char* name, const Work& work) {
    return ProfileScope(profile_, phase, name, {}, work);
  }

  // For tests and benchmarks.
  const Graph& graph() const { return graph_; }
  std::size_t peak_bytes() const { return memory_.peak_bytes() + (inner_ ? inner_->peak_bytes() : 0); }

 private:
  // While it exists, the tape does not record, and notes the leaves that ops use.
  class PieceScope {
   public:
    explicit PieceScope(Tape& tape) : tape_(tape) {
      tape.piece_leaves_.clear();
      tape.recording_ = false;
      tape.in_piece_ = true;
    }
    ~PieceScope() {
      tape_.recording_ = true;
      tape_.in_piece_ = false;
    }
    PieceScope(const PieceScope&) = delete;
    PieceScope& operator=(const PieceScope&) = delete;

   private:
    Tape& tape_;
  };

  GraphNode* begin_node(const char* name, std::initializer_list<Tensor> reads,
                        std::initializer_list<Tensor> adds_to, std::span<const Tensor> more,
                        const Work& work);
  void check_known(const char* what, const Tensor& x) const;
  Piece keep_piece(const Tensor& x, const Tensor& result);
  std::int64_t newly_used_bytes();

  bool recording_;
  bool in_piece_ = false;             // inside compute_piece(); then the tape does not record
  std::vector<Tensor> piece_leaves_;  // the leaves of this piece
  Arena memory_;
  Profile* profile_ = nullptr;
  Phase phase_ = Phase::forward;
  Schedule schedule_ = Schedule::tbb;
  std::int64_t profiled_bytes_ = 0;  // bytes of memory_ that are already counted in an event
  Graph graph_;
  std::unique_ptr<Tape> inner_;
  float lock_ = 0, lock_gradient_ = 0;
};

}  // namespace inkling
