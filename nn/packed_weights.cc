#include "nn/packed_weights.h"

#include <algorithm>

#include "core/parallel.h"
#include "ops/gemm_bf16.h"

namespace inkling {

PackedWeights::PackedWeights(const Parameters& parameters, const std::vector<std::size_t>& tensors,
                             bool backward)
    : weights_(parameters.values().data()), first_of_tensor_(parameters.table().size(), -1) {
  std::int64_t total = 0;
  for (std::size_t t : tensors) {
    const Parameter& p = parameters.table().at(t);
    const std::int64_t layers = p.shape.rank == 3 ? p.shape[0] : 1;
    const std::int64_t OC = p.shape[p.shape.rank - 2], IC = p.shape[p.shape.rank - 1];
    first_of_tensor_[t] = static_cast<std::int32_t>(matrices_.size());
    for (std::int64_t l = 0; l < layers; ++l)
      matrices_.push_back({p.offset + l * OC * IC, OC, IC, nullptr, nullptr});
    total += layers * (packed_b_count(OC, IC) + (backward ? packed_b_count(IC, OC) : 0));
  }
  memory_ = Pages(static_cast<std::size_t>(total) * sizeof(bf16));
  auto* next = reinterpret_cast<bf16*>(memory_.data());
  for (PackedMatrix& m : matrices_) {
    m.packed = next;
    next += packed_b_count(m.OC, m.IC);
    if (!backward) continue;
    m.packed_transposed = next;
    next += packed_b_count(m.IC, m.OC);
  }
  for (const PackedMatrix& m : matrices_) {
    parallel_for(m.OC, kWeightRows, [&](std::int64_t begin, std::int64_t end) {
      pack_weight_rows(m.packed, m.packed_transposed, weights_ + m.offset, m.OC, m.IC, begin, end);
    });
  }
}

const PackedMatrix& PackedWeights::matrix(std::size_t tensor, std::int64_t layer) const {
  return matrices_.at(static_cast<std::size_t>(first_of_tensor_.at(tensor) + layer));
}

void PackedWeights::pack(std::int64_t offset, std::int64_t count) {
  for (const PackedMatrix& m : matrices_) {
    const std::int64_t begin = std::max(offset, m.offset),
                       end = std::min(offset + count, m.offset + m.OC * m.IC);
    if (begin >= end) continue;
    pack_weight_rows(m.packed, m.packed_transposed, weights_ + m.offset, m.OC, m.IC,
                     (begin - m.offset) / m.IC, (end - m.offset) / m.IC);
  }
}

}  // namespace inkling
