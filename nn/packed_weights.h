// The matrices of a model, rounded to bf16 and packed for ops/gemm_bf16.h: once for Y = X W^T and, for
// training, once more for dX = dY W. Or rounded to 8 bits for ops/gemv_int8.h. The f32 weights stay the
// truth: whoever changes them says so.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bf16.h"
#include "core/memory.h"
#include "nn/parameters.h"
#include "ops/linear.h"

namespace inkling {

enum class Packing { bf16, bf16_twice, int8 };

struct PackedMatrix {
  std::int64_t offset;  // of its weights in the flat buffer
  std::int64_t OC, IC;
  bf16* packed = nullptr;             // nullptr with Packing::int8
  bf16* packed_transposed = nullptr;  // only with Packing::bf16_twice
  std::int8_t* q = nullptr;           // only with Packing::int8, as the next
  float* scales = nullptr;

  Weight weight(const Tensor& values) const;
};

class PackedWeights {
 public:
  // Of tensors (OC, IC) and stacks of them (L, OC, IC), by their numbers in the table. Packs all. Error when
  // a weight that is not finite is to have 8 bits.
  PackedWeights(const Parameters& parameters, const std::vector<std::size_t>& tensors, Packing packing);

  const PackedMatrix& matrix(std::size_t tensor, std::int64_t layer) const;

  // Packs [offset, offset + count) of the flat buffer again. A part of a matrix begins and ends with its
  // first or last row or between strips of kWeightRows (SegmentChunk). What is no matrix is skipped.
  // Thread-safe for stretches apart.
  void pack(std::int64_t offset, std::int64_t count);

  std::size_t size_bytes() const { return memory_.size_bytes(); }

 private:
  void pack_rows(const PackedMatrix& matrix, std::int64_t begin, std::int64_t end) const;

  const float* weights_;
  std::vector<PackedMatrix> matrices_;         // by offset
  std::vector<std::int32_t> first_of_tensor_;  // a tensor: its first matrix, or -1
  Pages memory_;
};

}  // namespace inkling
