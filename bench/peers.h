// The libraries we compare ourselves with, where they are installed: OpenBLAS and oneDNN, opened at run time,
// so that nothing links to them. Both use as many threads as we do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace inkling::bench {

// C(M,N) = op(A) op(B), float32, row-major; a transposed operand is stored as its transpose.
using Sgemm = void (*)(bool transpose_a, bool transpose_b, std::int64_t M, std::int64_t N, std::int64_t K,
                       const float* A, std::int64_t lda, const float* B, std::int64_t ldb, float* C,
                       std::int64_t ldc);

struct GemmPeer {
  std::string name;
  Sgemm sgemm;
};

std::optional<GemmPeer> openblas(int threads);
std::optional<GemmPeer> onednn();

}  // namespace inkling::bench
