// The parts of the autograd graph: nodes, and the slots that hold gradients. core/graph.h builds the graph
// from them.
#pragma once

#include <cstdint>
#include <span>

#include "core/profile.h"
#include "core/tensor.h"

namespace inkling {

class Gradients;

// One step of backward: a function that reads gradients of an op's outputs and adds to gradients of its
// inputs. The gradients are given by the indices of their slots.
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

// A slot: the gradient of `values`, a block of `count` numbers.
struct GradientSlot {
  const void* values = nullptr;
  std::int64_t count = 0;
  DType dtype = DType::f32;
  void* gradient = nullptr;  // for a leaf the caller's buffer; otherwise the plan chooses it
  bool is_leaf = false;
  bool started = false;  // whether something was written to `gradient` in this step
  bool reached = false;  // whether the loss depends on `values`

  std::int64_t gradient_bytes() const { return count * size_bytes(dtype); }
};

}  // namespace inkling
