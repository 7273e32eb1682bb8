// The parts of the autograd graph: nodes, and the slots that hold gradients. core/graph.h puts them together.
#pragma once

#include <cstdint>
#include <span>

#include "core/profile.h"
#include "core/tensor.h"

namespace inkling {

class Gradients;

// One step of backward: a function that reads gradients of an op's outputs and adds to gradients of its
// inputs. Gradients are named by the indices of their slots.
struct GraphNode {
  using Run = void (*)(const void* capture, Gradients& gradients);

  const char* name = "";
  Shape shape;  // the shape of the first gradient that the node reads, for the profile
  Work work;
  Run run = nullptr;
  const void* capture = nullptr;
  std::span<const std::int32_t> reads;    // slots that the node reads, in the tape's memory
  std::span<const std::int32_t> adds_to;  // slots that it adds to, in the tape's memory
};

// The gradient of `values`, a block of `count` numbers.
struct GradientSlot {
  const void* values = nullptr;
  std::int64_t count = 0;
  DType dtype = DType::f32;
  void* gradient = nullptr;  // the caller's buffer for a leaf; for other slots the plan chooses it
  bool is_leaf = false;
  bool started = false;  // something was written to `gradient` in this step
  bool reached = false;  // the loss depends on `values`

  std::int64_t gradient_bytes() const { return count * size_bytes(dtype); }
};

}  // namespace inkling
