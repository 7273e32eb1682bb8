// Packed copies of a model's matrices, in the layout that the kernels need. In bf16 (ops/gemm/gemm_bf16.h), a
// matrix has one copy for Y = X W^T and, when training, a second copy for dX = dY W. In int8
// (ops/gemm/gemv_int8.h), it has one copy. The f32 weights remain the master copy. Code that changes the f32
// weights must call pack() for the changed range.
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
  std::int64_t offset;  // where the matrix starts in the flat buffer of weights
  std::int64_t OC, IC;
  bf16* packed = nullptr;             // the copy of Packing::bf16 and bf16_twice
  bf16* packed_transposed = nullptr;  // the second copy of Packing::bf16_twice
  std::int8_t* q = nullptr;           // the copy of Packing::int8, with its `scales`
  float* scales = nullptr;

  Weight weight(const Tensor& values) const;
};

class PackedWeights {
 public:
  // Packs the tensors with these indices in the table of parameters. Each tensor is a matrix (OC, IC) or a
  // stack of matrices (L, OC, IC). Error if a weight is not finite and the packing is int8.
  PackedWeights(const Parameters& parameters, const std::vector<std::size_t>& tensors, Packing packing);

  const PackedMatrix& matrix(std::size_t tensor, std::int64_t layer) const;

  // Updates the packed copies of the weights [offset, offset + count) of the flat buffer. Where the range
  // covers a part of a matrix, that part must be whole strips of kWeightRows rows, except for a shorter strip
  // at the matrix's end (SegmentChunk). Parameters that have no packed copy are skipped. Threads may call
  // pack() at the same time for ranges that do not overlap.
  void pack(std::int64_t offset, std::int64_t count);

  std::size_t size_bytes() const { return memory_.size_bytes(); }

 private:
  void pack_rows(const PackedMatrix& matrix, std::int64_t begin, std::int64_t end) const;

  const float* weights_;
  std::vector<PackedMatrix> matrices_;         // all packed matrices, sorted by offset
  std::vector<std::int32_t> first_of_tensor_;  // the index of each tensor's first matrix, or -1
  Pages memory_;
};

}  // namespace inkling
