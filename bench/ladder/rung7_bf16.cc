// Rung 7, bf16: the engine's kernel for 16-bit numbers, ops/gemm/gemm_bf16.h.
//
// A bf16 is the upper half of a float: it has the same range and 8 bits of precision. Half as many bytes are
// read, and some CPUs have instructions for bf16: one AMX instruction multiplies a tile of 16 x 32 by a tile
// of 32 x 16, which is 8192 products. AVX512-BF16 adds two products in each lane. Sums are f32. On other
// CPUs, the numbers are converted to f32 first, so only memory is saved. Here both factors are rounded and
// packed in each call; in training the optimiser packs the weights.
#include "bench/ladder/ladder.h"
#include "ops/gemm/gemm_bf16.h"

namespace inkling::ladder {

void engine_bf16(float* C, const float* A, const float* B, const Size& size) {
  gemm_bf16(MatrixOut<float>{C, size.N}, inkling::rows(A, size.K), inkling::rows(B, size.N),
            {size.M, size.N, size.K});
}

}  // namespace inkling::ladder
