// gemm with GPT-2 124M's shapes: forward, dX and dW of every linear layer, including packing.
#include "ops/gemm/gemm.h"

#include "bench/data.h"
#include "bench/harness.h"
#include "bench/peers.h"
#include "bench/rows.h"
#include "core/error.h"
#include "ops/gemm/gemm_bf16.h"

namespace inkling::bench {

namespace {

// C (m,n) = op(A) op(B), summed over k. lda and ldb are the row lengths of the stored matrices.
struct Case {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

double flops_of(const Case& c) {
  return 2.0 * static_cast<double>(c.m) * static_cast<double>(c.n) * static_cast<double>(c.k);
}

// Describes the product of a case to another library (a peer), with f32 operands.
Matmul matmul_of(const Case& c, const void* a, const void* b, void* out) {
  return {.M = c.m,
          .N = c.n,
          .K = c.k,
          .transpose_a = c.transpose_a,
          .transpose_b = c.transpose_b,
          .a = a,
          .b = b,
          .c = out};
}

// A matrix whose rows, or whose columns, are stored `ld` elements apart.
template <class T>
MatrixIn<T> stored(const T* data, std::int64_t ld, bool transposed) {
  return transposed ? rows(data, ld).transposed() : rows(data, ld);
}

void add_case(const std::string& name, const Case& c) {
  add_row(name, {.flops = flops_of(c)}, [c] {
    const Floats A(c.m * c.k, 1), B(c.k * c.n, 2), C(c.m * c.n, 3);
    const std::int64_t lda = c.transpose_a ? c.m : c.k, ldb = c.transpose_b ? c.k : c.n;
    Candidates candidates;
    candidates.ours = [=] {
      gemm({C.data(), c.n}, stored(A.data(), lda, c.transpose_a), stored(B.data(), ldb, c.transpose_b),
           {c.m, c.n, c.k});
    };
    candidates.peers = matmul_peers(matmul_of(c, A.data(), B.data(), C.data()));
    return candidates;
  });
}

// The products in bf16. Weights are packed in advance, for us and for the peer, because in training the
// optimiser packs them. Activations and gradients are packed in every call.
void add_bf16_case(const std::string& name, const Case& c) {
  add_row(name, {.flops = flops_of(c), .bf16 = true}, [c] {
    const Bf16s A(c.m * c.k, 1), B(c.k * c.n, 2), packed(packed_b_count(c.n, c.k), 4), narrow(c.m * c.n, 5);
    const Floats wide(c.m * c.n, 3);
    const MatrixIn<bf16> a = stored<bf16>(A.data(), c.transpose_a ? c.m : c.k, c.transpose_a);
    const MatrixIn<bf16> b = stored<bf16>(B.data(), c.transpose_b ? c.k : c.n, c.transpose_b);
    const ProductSize size{c.m, c.n, c.k};
    const bool is_dw = c.transpose_a;
    // dW is f32, and so is dX of the head, a sum over the vocabulary in several passes
    const bool is_f32 = is_dw || c.k > 4096;
    const MatrixOut<float> sums{wide.data(), c.n, nullptr, nullptr, is_dw};
    const MatrixOut<bf16> rounded{narrow.data(), c.n};
    if (!is_dw) pack_b<bf16>(packed.data(), b, c.k, c.n);
    Candidates candidates;
    // the lambda captures the arrays, because its operands point to them
    candidates.ours = [is_dw, is_f32, sums, rounded, a, b, size, packed, A, B, narrow, wide] {
      const bf16* weight = packed.data();
      if (is_dw) return gemm_bf16(sums, a, b, size);
      is_f32 ? gemm_bf16(sums, a, weight, size) : gemm_bf16(rounded, a, weight, size);
    };
    Matmul matmul =
        matmul_of(c, A.data(), B.data(), is_f32 ? static_cast<void*>(wide.data()) : narrow.data());
    matmul.bf16 = true;
    matmul.c_bf16 = !is_f32;
    matmul.b_is_weight = !is_dw;
    candidates.peers = matmul_peers(matmul);
    return candidates;
  });
}

}  // namespace

void add_gemm_rows() {
  const std::pair<std::int64_t, std::int64_t> layers[] = {
      {2304, 768}, {768, 768}, {3072, 768}, {768, 3072}, {50304, 768}};
  for (const std::int64_t M : {64, 256, 1024}) {
    for (const auto& [N, K] : layers) {
      if (N == 50304 && M > 256) continue;  // the head never has that many rows: it runs in chunks of rows
      const std::string shape = str("M", M, "_N", N, "_K", K);
      add_case("gemm/forward/" + shape, {M, N, K, false, true});  // Y(M,N) = X(M,K) W(N,K)^T
      add_case("gemm/dX/" + shape, {M, K, N, false, false});      // dX(M,K) = dY(M,N) W(N,K)
      add_case("gemm/dW/" + shape, {N, K, M, true, false});       // dW(N,K) = dY(M,N)^T X(M,K)
      add_bf16_case("gemm_bf16/forward/" + shape, {M, N, K, false, true});
      add_bf16_case("gemm_bf16/dX/" + shape, {M, K, N, false, false});
      add_bf16_case("gemm_bf16/dW/" + shape, {N, K, M, true, false});
    }
  }
}

}  // namespace inkling::bench
