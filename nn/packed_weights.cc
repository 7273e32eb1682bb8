#include "nn/packed_weights.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/gemm/gemm_bf16.h"

namespace inkling {

namespace {

std::int64_t packed_bytes(const PackedMatrix& m, Packing packing) {
  constexpr auto kBf16 = static_cast<std::int64_t>(sizeof(bf16));
  switch (packing) {
    case Packing::bf16:
      return packed_b_count(m.OC, m.IC) * kBf16;
    case Packing::bf16_twice:
      return (packed_b_count(m.OC, m.IC) + packed_b_count(m.IC, m.OC)) * kBf16;
    case Packing::int8:
      return int8_bytes(m.OC, m.IC) + ceil_div(m.OC, 16) * 64;  // the scales fill whole cache lines
  }
  return 0;
}

}  // namespace

Weight PackedMatrix::weight(const Tensor& values) const {
  if (q != nullptr) return {values, Int8Matrix{q, scales, OC, IC}};
  return {values, packed, packed_transposed};
}

PackedWeights::PackedWeights(const Parameters& parameters, const std::vector<std::size_t>& tensors,
                             Packing packing)
    : weights_(parameters.values().data()), first_of_tensor_(parameters.table().size(), -1) {
  for (std::size_t t : tensors) {
    const Parameter& p = parameters.table().at(t);
    const std::int64_t layers = p.shape.rank == 3 ? p.shape[0] : 1;
    const std::int64_t OC = p.shape[p.shape.rank - 2], IC = p.shape[p.shape.rank - 1];
    first_of_tensor_[t] = static_cast<std::int32_t>(matrices_.size());
    for (std::int64_t l = 0; l < layers; ++l) matrices_.push_back({p.offset + l * OC * IC, OC, IC});
  }
  std::int64_t total = 0;
  for (const PackedMatrix& m : matrices_) total += packed_bytes(m, packing);
  memory_ = Pages(static_cast<std::size_t>(total));
  std::byte* next = memory_.data();
  for (PackedMatrix& m : matrices_) {
    if (packing == Packing::int8) {
      m.q = reinterpret_cast<std::int8_t*>(next);
      m.scales = reinterpret_cast<float*>(next + int8_bytes(m.OC, m.IC));
    } else {
      m.packed = reinterpret_cast<bf16*>(next);
      if (packing == Packing::bf16_twice) m.packed_transposed = m.packed + packed_b_count(m.OC, m.IC);
    }
    next += packed_bytes(m, packing);
    parallel_for(m.OC, kWeightRows, [&](std::int64_t begin, std::int64_t end) { pack_rows(m, begin, end); });
  }
  for (const PackedMatrix& m : matrices_) {
    if (m.q == nullptr || std::all_of(m.scales, m.scales + m.OC, [](float s) { return std::isfinite(s); }))
      continue;
    for (const Parameter& p : parameters.table()) {
      if (p.offset <= m.offset && m.offset < p.offset + p.shape.numel())
        fail("int8: tensor ", p.name, " has weights that are infinite or NaN, expected finite numbers");
    }
  }
}

void PackedWeights::pack_rows(const PackedMatrix& m, std::int64_t begin, std::int64_t end) const {
  if (m.q != nullptr) return quantise_int8(m.q, m.scales, weights_ + m.offset, m.IC, begin, end);
  pack_weight_rows(m.packed, m.packed_transposed, weights_ + m.offset, m.OC, m.IC, begin, end);
}

const PackedMatrix& PackedWeights::matrix(std::size_t tensor, std::int64_t layer) const {
  return matrices_.at(static_cast<std::size_t>(first_of_tensor_.at(tensor) + layer));
}

void PackedWeights::pack(std::int64_t offset, std::int64_t count) {
  for (const PackedMatrix& m : matrices_) {
    const std::int64_t begin = std::max(offset, m.offset),
                       end = std::min(offset + count, m.offset + m.OC * m.IC);
    if (begin >= end) continue;
    pack_rows(m, (begin - m.offset) / m.IC, (end - m.offset) / m.IC);
  }
}

}  // namespace inkling
