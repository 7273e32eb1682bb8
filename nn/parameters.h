// Parameters: all weights of a model in one flat buffer of floats, all gradients in another flat buffer, and
// a table of the tensors in the buffers.
//
// The buffer is flat so that loading is one read, saving is one write, and the optimiser is one loop. The
// table gives each tensor's name and shape, and whether weight decay applies to it. This file does not know
// what a model does with the tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/memory.h"
#include "core/tape.h"

namespace inkling {

struct ParameterSpec {
  std::string name;
  Shape shape;
  bool decay;              // weight decay pulls matrices and embeddings towards zero, never biases and norms
  const char* group = "";  // the part of the transformer: "embeddings", "attention", "mlp" or "norms"
};

struct Parameter {
  std::string name;
  Shape shape;
  bool decay;
  std::int64_t offset;  // number of floats from the start of the buffer

  // An update must change whole strips of this many floats, except at a matrix's end: as many rows of a
  // matrix as packed copies take at a time (nn/packed_weights.h), or one number of a vector.
  std::int64_t strip() const;
};

class Parameters {
 public:
  explicit Parameters(const std::vector<ParameterSpec>& specs);  // weights are zero; Error if sizes overflow

  std::int64_t count() const { return count_; }
  const std::vector<Parameter>& table() const { return table_; }

  std::span<float> values() const { return {reinterpret_cast<float*>(values_.data()), size()}; }
  // The gradients of the weights, from the last backward pass. The buffer is allocated on first use, so a
  // model that only generates text does not need this memory.
  std::span<float> gradients();

  std::span<float> values_of(std::size_t index) const;  // the values of tensor `index`

  // The tape's leaf for the whole tensor `index` of the table, or for slice `layer` of a tensor that is
  // stacked over layers.
  Tensor leaf(Tape& tape, std::size_t index, LeafGradient mode);
  Tensor layer_leaf(Tape& tape, std::size_t index, std::int64_t layer, LeafGradient mode);

 private:
  std::size_t size() const { return static_cast<std::size_t>(count_); }
  Tensor leaf_at(Tape& tape, std::int64_t offset, Shape shape, LeafGradient mode);

  std::vector<Parameter> table_;
  std::int64_t count_ = 0;
  Pages values_;
  Pages gradients_;
};

}  // namespace inkling
