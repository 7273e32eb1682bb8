// Rung 2, blocked: the same products in an order that suits the cache.
//
// First, the loops over k and n are exchanged: the inner loop walks along a row of B and a row of C, so it
// uses all of each cache line, and its additions do not wait for each other. Second, B is cut into blocks of
// 64 x 256 floats, 64 KiB. A block stays in the L2 cache while all rows of A are multiplied with it, instead
// of coming from memory again for each row.
#include <algorithm>

#include "bench/ladder/ladder.h"

namespace inkling::ladder {

void blocked(float* C, const float* A, const float* B, const Size& size) {
  constexpr std::int64_t kRows = 64, kColumns = 256;  // of a block of B
  const auto [M, N, K] = size;
  std::fill_n(C, M * N, 0.0f);
  for (std::int64_t k0 = 0; k0 < K; k0 += kRows) {
    for (std::int64_t n0 = 0; n0 < N; n0 += kColumns) {
      const std::int64_t k1 = std::min(K, k0 + kRows), n1 = std::min(N, n0 + kColumns);
      for (std::int64_t m = 0; m < M; ++m) {
        for (std::int64_t k = k0; k < k1; ++k) {
          const float a = A[m * K + k];
          for (std::int64_t n = n0; n < n1; ++n) C[m * N + n] += a * B[k * N + n];
        }
      }
    }
  }
}

}  // namespace inkling::ladder
