#include "nn/parameters.h"

#include <algorithm>

#include "core/error.h"
#include "ops/gemm/gemm_bf16.h"

namespace inkling {

std::int64_t Parameter::strip() const {
  return shape.rank < 2 ? 1 : std::max<std::int64_t>(1, kWeightRows * shape.back());
}

Parameters::Parameters(const std::vector<ParameterSpec>& specs) {
  for (const ParameterSpec& spec : specs) {
    table_.push_back({spec.name, spec.shape, spec.decay, count_});
    std::int64_t numel = 1;
    for (int axis = 0; axis < spec.shape.rank; ++axis) {
      if (__builtin_mul_overflow(numel, spec.shape[axis], &numel)) {
        fail("parameter ", spec.name, ": ", spec.shape, " has too many elements, expected at most 2^63 - 1");
      }
    }
    if (__builtin_add_overflow(count_, numel, &count_))
      fail("parameter ", spec.name, ": the model is too large, expected at most 2^63 - 1 weights");
  }
  values_ = Pages(size() * sizeof(float));
}

std::span<float> Parameters::gradients() {
  if (gradients_.data() == nullptr) gradients_ = Pages(size() * sizeof(float));
  return {reinterpret_cast<float*>(gradients_.data()), size()};
}

std::span<float> Parameters::values_of(std::size_t index) const {
  const Parameter& p = table_.at(index);
  return values().subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.shape.numel()));
}

Tensor Parameters::leaf_at(Tape& tape, std::int64_t offset, Shape shape, LeafGradient mode) {
  float* gradient = tape.recording() ? gradients().data() + offset : nullptr;
  return tape.leaf(values().data() + offset, gradient, shape, mode);
}

Tensor Parameters::leaf(Tape& tape, std::size_t index, LeafGradient mode) {
  const Parameter& p = table_.at(index);
  return leaf_at(tape, p.offset, p.shape, mode);
}

Tensor Parameters::layer_leaf(Tape& tape, std::size_t index, std::int64_t layer, LeafGradient mode) {
  const Parameter& p = table_.at(index);
  if (p.shape.rank == 0 || layer < 0 || layer >= p.shape[0])
    fail("parameter ", p.name, ": layer ", layer, " of ", p.shape,
         " does not exist, expected 0 <= layer < the first dimension");
  Shape shape;
  for (int axis = 1; axis < p.shape.rank; ++axis) shape[shape.rank++] = p.shape[axis];
  return leaf_at(tape, p.offset + layer * shape.numel(), shape, mode);
}

}  // namespace inkling
