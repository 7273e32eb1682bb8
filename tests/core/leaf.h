// A vector as a leaf of a tape, for tests of the tape.
#pragma once

#include <utility>
#include <vector>

#include "core/tape.h"

namespace inkling::test {

// The gradient is 100 at first, so that a test sees whether backward() replaces it or adds to it.
struct Leaf {
  std::vector<float> x, dx;

  explicit Leaf(std::vector<float> values) : x(std::move(values)), dx(x.size(), 100.0f) {}
  Tensor on(Tape& tape, LeafGradient mode = LeafGradient::overwrite) {
    return tape.leaf(x.data(), dx.data(), {std::ssize(x)}, mode);
  }
};

}  // namespace inkling::test
