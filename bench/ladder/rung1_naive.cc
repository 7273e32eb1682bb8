// Rung 1, naive: the definition, C_mn = sum_k A_mk B_kn, as three loops.
//
// The inner loop walks down a column of B. Neighbours in a column are N floats apart, in another cache line
// each: 64 bytes travel from memory to use 4 of them. And each step waits for the sum of the step before,
// four cycles for one multiplication and one addition.
#include "bench/ladder/ladder.h"

namespace inkling::ladder {

void naive(float* C, const float* A, const float* B, const Size& size) {
  const auto [M, N, K] = size;
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      float sum = 0;
      for (std::int64_t k = 0; k < K; ++k) sum += A[m * K + k] * B[k * N + n];
      C[m * N + n] = sum;
    }
  }
}

}  // namespace inkling::ladder
