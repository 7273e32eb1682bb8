// gemm at GPT-2 124M's shapes: forward, dX and dW of every linear layer, packing included.
#include "ops/gemm.h"

#include "bench/data.h"
#include "bench/harness.h"
#include "bench/peers.h"
#include "bench/rows.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling::bench {

namespace {

// C (m,n) = op(A) op(B) with k summed; lda and ldb are the row lengths of what is stored.
struct Case {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

void add_case(const std::string& name, const Case& c) {
  const double flops = 2.0 * static_cast<double>(c.m) * static_cast<double>(c.n) * static_cast<double>(c.k);
  add_row(name, {.flops = flops}, [c] {
    const Floats A(c.m * c.k, 1), B(c.k * c.n, 2), C(c.m * c.n, 3);
    const std::int64_t lda = c.transpose_a ? c.m : c.k, ldb = c.transpose_b ? c.k : c.n;
    Candidates candidates;
    candidates.ours = [=] {
      const MatrixView a = rows(A.data(), lda), b = rows(B.data(), ldb);
      gemm(C.data(), c.n, c.transpose_a ? a.transposed() : a, c.transpose_b ? b.transposed() : b, c.m, c.n,
           c.k, nullptr, false);
    };
    for (const auto& peer : {onednn(), openblas(threads())}) {
      if (!peer) continue;
      candidates.peers.push_back({peer->name, [=, sgemm = peer->sgemm] {
                                    sgemm(c.transpose_a, c.transpose_b, c.m, c.n, c.k, A.data(), lda,
                                          B.data(), ldb, C.data(), c.n);
                                  }});
    }
    return candidates;
  });
}

}  // namespace

void add_gemm_rows() {
  const std::pair<std::int64_t, std::int64_t> layers[] = {
      {2304, 768}, {768, 768}, {3072, 768}, {768, 3072}, {50304, 768}};
  for (const std::int64_t M : {64, 256, 1024}) {
    for (const auto& [N, K] : layers) {
      if (N == 50304 && M > 256) continue;  // the head runs in blocks of rows
      const std::string shape = str("M", M, "_N", N, "_K", K);
      add_case("gemm/forward/" + shape, {M, N, K, false, true});  // Y(M,N) = X(M,K) W(N,K)^T
      add_case("gemm/dX/" + shape, {M, K, N, false, false});      // dX(M,K) = dY(M,N) W(N,K)
      add_case("gemm/dW/" + shape, {N, K, M, true, false});       // dW(N,K) = dY(M,N)^T X(M,K)
    }
  }
}

}  // namespace inkling::bench
