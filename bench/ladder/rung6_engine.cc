// Rung 6, the engine's kernel: ops/gemm/gemm.h, which trains the models.
//
// It has the same ideas as rung 5, and blocks for each cache: k is cut into parts, so that a panel of B fits
// into L1; tasks are cut by the shape of the product, so that small and narrow products use all cores, too;
// the tile suits each instruction set; and matrices may be transposed, have a bias, or be added to C.
#include "bench/ladder/ladder.h"
#include "ops/gemm/gemm.h"

namespace inkling::ladder {

void engine(float* C, const float* A, const float* B, const Size& size) {
  gemm({C, size.N}, inkling::rows(A, size.K), inkling::rows(B, size.N), {size.M, size.N, size.K});
}

}  // namespace inkling::ladder
