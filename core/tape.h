// The tape: what a forward pass computed, kept so that backward() can differentiate it.
//
// Eager and explicit: an op is a function `Tensor gelu(Tape& tape, const Tensor& x)` that computes its result
// at once, into memory the tape owns, and records one node or more: a name, which gradients it reads, which
// it adds to, and a function that does it. backward(loss) runs the nodes in reverse (core/graph.h says in
// which order, and on which threads). A tape with Recording::off is for inference: the same ops run, nothing
// is recorded or kept.
//
//   Tape tape;
//   Tensor w = tape.leaf(weights, gradients, {C, C}, LeafGradient::overwrite);
//   Tensor y = gelu(tape, linear(tape, x, w, b));
//   tape.backward(loss);   // gradients now hold d loss / d w
//   tape.clear();          // forgets the step, keeps the memory
//
// Invariants: a Tensor made by a tape is dead after clear(). Every gradient has the layout of the whole
// memory block its tensor views. Not thread-safe; only backward() itself runs on many threads. Next:
// core/graph.h, then ops/gelu.h for a first op.
#pragma once

#include <initializer_list>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "core/graph.h"
#include "core/memory.h"
#include "core/tensor.h"

namespace inkling {

enum class LeafGradient {
  overwrite,   // this backward() replaces what the leaf's gradient buffer held
  accumulate,  // it adds to it, e.g. the second micro-batch of a step
};

enum class Recording { on, off };

class Tape {
 public:
  explicit Tape(Recording recording = Recording::on) : recording_(recording == Recording::on) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  bool recording() const { return recording_; }

  // A parameter: memory of the caller's, and where its gradient goes (nullptr: it gets none). f32,
  // contiguous. Asked for again, it is the same leaf: all its uses add to one gradient, in the mode it was
  // first given.
  Tensor leaf(float* values, float* gradient, Shape shape, LeafGradient mode);

  // Uninitialised memory for an op's result. It has a gradient, of the same dtype, if the tape records and
  // one of `inputs` has one.
  Tensor output(Shape shape, std::initializer_list<Tensor> inputs, DType dtype = DType::f32);

  // Uninitialised memory that lives until clear() or a rewind() past it: what an op's backward wants to find
  // again, e.g. layernorm's mean.
  template <class T = float>
  T* keep(std::int64_t count) {
    return static_cast<T*>(memory_.allocate(static_cast<std::size_t>(count) * sizeof(T)));
  }

  // Records a node. `backward` is a small lambda that captures Tensors, pointers and numbers by value; it
  // gets a Gradients&. `reads` are the op's outputs, `adds_to` its inputs; those without a gradient are left
  // out. Recorded only if something is read and something added to. Nodes recorded later run earlier. `work`
  // tells the profile what the node has to do.
  template <class F>
  void record(const char* name, std::initializer_list<Tensor> reads, std::initializer_list<Tensor> adds_to,
              const Work& work, F backward) {
    static_assert(std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>,
                  "a node keeps plain values: Tensors, pointers, numbers");
    GraphNode* node = begin_node(name, reads, adds_to, work);
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

  // d loss / d everything, times `seed`. `loss` is a scalar computed on this tape. Once per tape between two
  // clear()s.
  void backward(const Tensor& loss, float seed = 1.0f) { run_backward(loss, seed, Schedule::tbb); }
  void backward_serial(const Tensor& loss, float seed = 1.0f) { run_backward(loss, seed, Schedule::serial); }

  // The same from a tensor whose gradient is known: `dy`, as many floats as y has.
  void backward_from(const Tensor& y, const float* dy);

  // The gradient buffer of a leaf, for the one op that must write it in the forward pass
  // (ops/linear_cross_entropy.h). The first caller is told to overwrite (accumulate = false), as a node would
  // be.
  GradientTarget<> leaf_gradient(const Tensor& leaf);

  // Forgets every tensor and node; the memory stays for the next step.
  void clear();

  // Without recording, a model gives back a block's temporaries: everything allocated since mark(), except
  // `kept`, which is moved down to the mark. While recording this does nothing and returns `kept` as it is.
  Arena::Mark mark() const { return memory_.mark(); }
  Tensor rewind(Arena::Mark mark, const Tensor& kept);

  // For core/recompute.h: what `f` returns, a tensor of this tape, and nothing of how it came to be.
  template <class F>
  Tensor compute_unrecorded(F f) {
    const Arena::Mark start = mark();
    recording_ = false;
    const struct Resume {
      Tape& tape;
      ~Resume() { tape.recording_ = true; }
    } resume{*this};
    return with_gradient(rewind(start, f()));
  }
  // For it, too: a tape to compute it again on, made when first asked for.
  Tape& inner();
  // And something that all who use that tape add to, so that they do so one after another.
  Tensor turn() { return leaf(&turn_, &turn_gradient_, {}, LeafGradient::overwrite); }

  // From now on every op tells `profile` (core/profile.h) of itself; nullptr: none does.
  void profile_into(Profile* profile) { profile_ = graph_.profile_ = profile; }
  // The event of an op's forward pass, opened when its result `y` and what it keeps are allocated and it
  // begins to compute.
  ProfileScope scope(const char* name, const Tensor& y, const Work& work) {
    return ProfileScope(profile_, phase_, name, y.shape(), work, newly_used_bytes());
  }

  const Graph& graph() const { return graph_; }
  std::size_t peak_bytes() const { return memory_.peak_bytes() + (inner_ ? inner_->peak_bytes() : 0); }

 private:
  GraphNode* begin_node(const char* name, std::initializer_list<Tensor> reads,
                        std::initializer_list<Tensor> adds_to, const Work& work);
  void check_known(const char* what, const Tensor& x) const;
  void run_backward(const Tensor& loss, float seed, Schedule schedule);
  Tensor with_gradient(const Tensor& y);
  std::int64_t newly_used_bytes();

  bool recording_;
  Arena memory_;
  Profile* profile_ = nullptr;
  Phase phase_ = Phase::forward;
  std::int64_t profiled_bytes_ = 0;  // of memory_, that some op's event has shown
  Graph graph_;
  std::unique_ptr<Tape> inner_;
  float turn_ = 0, turn_gradient_ = 0;
};

}  // namespace inkling
