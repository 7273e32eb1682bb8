#include "apps/ranks/part_sums.h"

#include <algorithm>

#include "core/bf16.h"
#include "core/parallel.h"
#include "ops/elementwise.h"
#include "ops/kernels.h"

namespace inkling {

PartSums::PartSums(std::int64_t parts, PartRange mine, std::span<float> gradients, DType sent_as)
    : all_(parts), mine_(mine), gradients_(gradients), sent_as_(sent_as) {}

// Rounds to the numbers that messages can have.
void PartSums::round(float* values, std::int64_t n) const {
  if (sent_as_ != DType::bf16) return;
  for (std::int64_t i = 0; i < n; ++i) values[i] = to_float(to_bf16(values[i]));
}

void PartSums::add_to(float* sum, const float* x, std::int64_t n) const {
  kernels().binary_forward(Binary::add, sum, {sum, 1}, {x, 1}, n);
  round(sum, n);
}

int PartSums::take_memory() {
  if (free_memories_.empty()) {
    free_memories_.push_back(static_cast<int>(memories_.size()));
    memories_.emplace_back(gradients_.size_bytes());
  }
  const int memory = free_memories_.back();
  free_memories_.pop_back();
  return memory;
}

void PartSums::begin(std::int64_t part) {
  additions_.clear();
  copy_ = nullptr;
  Sum sum{{part, part + 1}, gradients_.data(), -1};
  while (!sums_.empty() && is_node(all_, {sums_.back().node.begin, sum.node.end})) {
    Sum left = sums_.back();
    sums_.pop_back();
    additions_.emplace_back(left.data, sum.data);
    if (sum.memory >= 0) free_memories_.push_back(sum.memory);
    left.node.end = sum.node.end;
    sum = left;
  }
  if (sum.memory < 0 && part + 1 < mine_.end) {
    sum.memory = take_memory();
    sum.data = copy_ = reinterpret_cast<float*>(memories_[static_cast<std::size_t>(sum.memory)].data());
  }
  sums_.push_back(sum);
}

void PartSums::add(std::int64_t begin, std::int64_t end) const {
  round(gradients_.data() + begin, end - begin);
  for (const auto& [sum, x] : additions_) add_to(sum + begin, x + begin, end - begin);
  if (copy_ != nullptr) std::copy(gradients_.data() + begin, gradients_.data() + end, copy_ + begin);
}

void PartSums::add() const {
  parallel_for(std::ssize(gradients_), kAddFloats,
               [&](std::int64_t begin, std::int64_t end) { add(begin, end); });
}

void PartSums::clear() {
  for (const Sum& sum : sums_) {
    if (sum.memory >= 0) free_memories_.push_back(sum.memory);
  }
  sums_.clear();
}

}  // namespace inkling
