// Rung 4, vectorised: rung 3 with SIMD registers in the tile (vector_kernel.h). One instruction computes 4, 8
// or 16 products and sums.
#include "bench/ladder/vector_kernel.h"

namespace inkling::ladder {

void vectorised(float* C, const float* A, const float* B, const Size& size) {
  const std::vector<float> a = packed_copy(A, size.M, size.K, size.K, 1, VectorKernel::MR);
  const std::vector<float> b = packed_copy(B, size.N, size.K, 1, size.N, VectorKernel::NR);
  multiply_tiles<VectorKernel>(C, a.data(), b.data(), size, 0, size.M);
}

}  // namespace inkling::ladder
