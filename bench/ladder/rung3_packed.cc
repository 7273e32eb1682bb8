// Rung 3, packed: tiles of C in registers, and factors that are read front to back (packing.h).
//
// Rung 2 reads and writes a number of C for each product. Here the 4 x 2 sums of a tile stay in registers for
// all of k, and each number that is read is used two or four times. Reading the copies needs no jumps, so the
// CPU loads ahead by itself. The copies cost little: each number is copied once and used hundreds of times.
#include "bench/ladder/packing.h"

namespace inkling::ladder {

namespace {

struct ScalarKernel {
  static constexpr std::int64_t MR = 4, NR = 2;

  static void run(float* tile, const float* a, const float* b, std::int64_t K) {
    float c00 = 0, c01 = 0, c10 = 0, c11 = 0, c20 = 0, c21 = 0, c30 = 0, c31 = 0;
    for (std::int64_t k = 0; k < K; ++k, a += MR, b += NR) {
      c00 += a[0] * b[0], c01 += a[0] * b[1];
      c10 += a[1] * b[0], c11 += a[1] * b[1];
      c20 += a[2] * b[0], c21 += a[2] * b[1];
      c30 += a[3] * b[0], c31 += a[3] * b[1];
    }
    const float sums[] = {c00, c01, c10, c11, c20, c21, c30, c31};
    std::copy_n(sums, MR * NR, tile);
  }
};

}  // namespace

void packed(float* C, const float* A, const float* B, const Size& size) {
  const std::vector<float> a = packed_copy(A, size.M, size.K, size.K, 1, ScalarKernel::MR);
  const std::vector<float> b = packed_copy(B, size.N, size.K, 1, size.N, ScalarKernel::NR);
  multiply_tiles<ScalarKernel>(C, a.data(), b.data(), size, 0, size.M);
}

}  // namespace inkling::ladder
