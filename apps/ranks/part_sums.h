// PartSums: adds the gradients of the parts of one rank, in the order of parts.h.
//
// Works like the carry of a binary counter: two sums become one as soon as they are the children of a node of
// the tree. So a rank with parts 3, 4 and 5 of 8 has two sums at the end: of part 3, and of parts 4 and 5.
// The last part stays in the buffer of backward; earlier parts are copied, because backward overwrites them.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "apps/ranks/parts.h"
#include "core/memory.h"
#include "core/tensor.h"

namespace inkling {

class PartSums {
 public:
  static constexpr std::int64_t kAddFloats =
      1 << 14;  // a thread adds this many floats at a time: they fit into L1

  // The sum of a node of the tree.
  struct Sum {
    PartRange node;
    float* data;  // of all weights
    int memory;   // the index of the buffer in memories_, or -1: in the buffer of backward
  };

  // `mine` are the parts of this rank. `gradients` is the buffer into which backward writes a part's gradient
  // of all weights; it must stay where it is. If `sent_as` is bf16, every sum is rounded to bf16.
  PartSums(std::int64_t parts, PartRange mine, std::span<float> gradients, DType sent_as);

  PartRange parts() const { return mine_; }

  // Prepares the addition of a part. The parts come in order.
  void begin(std::int64_t part);
  // Adds the gradient of this part, for the weights [begin, end). Call it once for each weight. Many threads
  // may call it at the same time, for different weights.
  void add(std::int64_t begin, std::int64_t end) const;
  // Adds the gradient of this part for all weights, in parallel.
  void add() const;

  // The sums of the parts so far, in order.
  std::span<const Sum> sums() const { return sums_; }
  // Forgets the sums. The next part is the first one again.
  void clear();

  // sum = sum + x, rounded if sums are.
  void add_to(float* sum, const float* x, std::int64_t n) const;

 private:
  void round(float* values, std::int64_t n) const;
  int take_memory();

  std::int64_t all_;
  PartRange mine_;
  std::span<float> gradients_;
  DType sent_as_;
  std::vector<Sum> sums_;
  std::vector<Pages> memories_;
  std::vector<int> free_memories_;
  // What add() does: first these additions, each (sum, x); then it copies the gradient, unless copy_ is null.
  std::vector<std::pair<float*, const float*>> additions_;
  float* copy_ = nullptr;
};

}  // namespace inkling
