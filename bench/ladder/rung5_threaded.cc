// Rung 5, threaded: rung 4 on all cores, with TBB (core/parallel.h).
//
// Tiles of C do not depend on each other, so any thread may compute any tile. First the threads pack B
// together, panel by panel; then each takes a few strips of A, packs them, and multiplies them with all of B.
// Both copies are packed in parallel: a part that only one core runs would soon limit all others (Amdahl's
// law).
#include "bench/ladder/vector_kernel.h"
#include "core/parallel.h"

namespace inkling::ladder {

void threaded(float* C, const float* A, const float* B, const Size& size) {
  constexpr std::int64_t kRows = 8 * VectorKernel::MR,
                         NR = VectorKernel::NR;  // rows of a task; columns of a panel
  const auto [M, N, K] = size;
  std::vector<float> a(static_cast<std::size_t>(round_up(M, kRows) * K)),
      b(static_cast<std::size_t>(round_up(N, NR) * K));
  float *const packed_a = a.data(), *const packed_b = b.data();
  const std::int64_t rows = M, columns = N,
                     depth = K;  // a lambda cannot capture a structured binding in clang 14
  parallel_chunks(ceil_div(columns, NR), [=](std::int64_t panel) {
    const std::int64_t n = panel * NR;
    pack(packed_b + n * depth, B + n, std::min(NR, columns - n), depth, 1, columns, NR);
  });
  parallel_chunks(ceil_div(rows, kRows), [=, &size](std::int64_t task) {
    const std::int64_t m = task * kRows, end = std::min(rows, m + kRows);
    pack(packed_a + m * depth, A + m * depth, end - m, depth, depth, 1, VectorKernel::MR);
    multiply_tiles<VectorKernel>(C, packed_a, packed_b, size, m, end);
  });
}

}  // namespace inkling::ladder
