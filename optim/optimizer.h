// The base class of all optimisers. An optimiser turns gradients into new weights. It has a state, which a
// checkpoint saves.
//
// An optimiser knows flat buffers of floats, and which parts of them have weight decay (optim/segment.h). It
// does not know the model. Thread safety: one caller at a time; step() itself uses all threads and allocates
// nothing. Read next: optim/adamw.h, with the mathematics in ops/update/adamw.h.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "optim/segment.h"

namespace inkling {

class Optimizer {
 public:
  // One buffer of the optimiser's state, with one number for each weight. To restore a checkpoint, write into
  // `values`.
  struct State {
    const char* name;
    std::span<float> values;
  };

  virtual ~Optimizer() = default;

  virtual const char* name() const = 0;

  // A function that step() calls as soon as it has updated weights [offset, offset + count), a chunk of
  // optim/segment.h, on the thread that still has these weights in its cache. Many threads call the function
  // at the same time.
  using Updated = std::function<void(std::int64_t offset, std::int64_t count)>;

  // Updates the weights. `step` counts from 1, `lr` is this step's learning rate, every gradient is
  // multiplied by `gradient_scale` (optim/clip.h). If `updated` is not null, it is called for each chunk.
  // Error unless step >= 1.
  virtual void step(float* weights, const float* gradients, std::int64_t step, float lr, float gradient_scale,
                    const Updated& updated = nullptr) = 0;

  virtual std::vector<State> state() = 0;

  // The number of bytes that a step reads and writes. Memory bandwidth limits the speed of a step.
  virtual double step_bytes() const = 0;

 protected:
  explicit Optimizer(const std::vector<ParameterSegment>& segments)
      : chunks_(cut_segments(segments)), extent_(inkling::extent(segments)) {}

  // The number of floats in each buffer: weights, gradients and state.
  std::int64_t extent() const { return extent_; }

  // Memory for one buffer of the state, filled with zeros, and its floats.
  Pages state_memory() const { return Pages(static_cast<std::size_t>(extent_) * sizeof(float)); }
  std::span<float> floats_of(const Pages& memory) const {
    return {reinterpret_cast<float*>(memory.data()), static_cast<std::size_t>(extent_)};
  }

  // Error unless step >= 1.
  void check_step(std::int64_t step) const {
    if (step < 1) fail(name(), ": step is ", step, ", expected 1 or more");
  }

  // Calls update(chunk), then `updated`, for each chunk of the weights, in parallel.
  template <class F>
  void for_each_chunk(const Updated& updated, F update) const {
    parallel_chunks(std::ssize(chunks_), [&](std::int64_t i) {
      const SegmentChunk& c = chunks_[static_cast<std::size_t>(i)];
      update(c);
      if (updated) updated(c.offset, c.count);
    });
  }

 private:
  std::vector<SegmentChunk> chunks_;
  std::int64_t extent_;
};

}  // namespace inkling
