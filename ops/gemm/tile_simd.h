// Products of small matrices that are in the L1 or L2 cache. Attention is built from them.
//
//   C (M,N) = or += A (M,K) B (K,N)
//
// B and C are stored by rows, so that a register holds neighbouring columns. A is read one number at a time
// and may be stored by rows or by columns (TileOperand), so a transposed A costs nothing; for this reason
// attention stores its scores transposed. Unlike in ops/gemm/gemm.h, nothing is packed and one thread does
// everything: the callers' matrices are in the cache and in the right order already.
//
// Each element of C is one chain of K fused multiply-adds. It starts from 0 or from the old value. It does
// not depend on the rows and columns computed beside it, and a product that is cut along K gives the same
// bits as one piece.
//
// The register block: R x S registers of C stay in registers for all K steps. One step loads S registers
// of B and R numbers of A, and does R S multiply-adds. With 32 registers, a C of 4 registers or more is cut
// into blocks of 4 x 4 (eight loads for 16 multiply-adds) and the rest into 8 x 2; with 16 registers into 4
// x 2. The two multiply-add units have a latency of 4, so they need 8 independent chains, and nearly always
// have them.
#pragma once

#include "ops/gemm/operands.h"
#include "ops/simd/transpose_simd.h"

namespace inkling::simd {

// A matrix that is read one number at a time: element (i, k) is data[i * row + k * step].
struct TileOperand {
  const float* data;
  std::int64_t row;
  std::int64_t step;
};

// A matrix that is stored by rows, `ld` floats apart. T is const float if the matrix is only read.
template <class T>
struct RowMajor {
  T* data;
  std::int64_t ld;
};

template <class V>
constexpr std::int64_t kBlockRows = V::kLanes == 16 ? 8 : 4;

// Calls f(0), f(1) .. f(N - 1) without a loop. g++ keeps an array of registers in registers only if every
// index is a constant early in its passes, and it unrolls the outermost loops of a function too late for
// that.
template <int N, class F>
[[gnu::always_inline]] inline void unrolled(const F& f) {
  if constexpr (N > 0) {
    unrolled<N - 1>(f);
    f(N - 1);
  }
}

// The last steps of a product with a triangle, where row i of the block sums over K + i steps. Does step K +
// J - 1, in which only the rows from J on take part, and then all later steps. `a` and `b` point to this
// step.
template <class V, int R, int S, int J>
[[gnu::always_inline]] inline void triangle_steps(V (&acc)[R][S], const float* a, TileOperand strides,
                                                  const float* b, std::int64_t ldb) {
  if constexpr (J < R) {
    V b_k[S];
    for (int s = 0; s < S; ++s) b_k[s] = load<V>(b + s * V::kLanes);
    for (int i = J; i < R; ++i) {
      const V a_ik(a[i * strides.row]);
      for (int s = 0; s < S; ++s) acc[i][s] = fma(a_ik, b_k[s], acc[i][s]);
    }
    triangle_steps<V, R, S, J + 1>(acc, a + strides.step, strides, b + ldb, ldb);
  }
}

// One register block of C: R rows and S registers of columns. With Triangle, row i sums over K + i steps.
template <class V, int R, int S, bool Triangle>
void block_product(RowMajor<float> C, TileOperand A, RowMajor<const float> B, std::int64_t K,
                   bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  V acc[R][S];
  if (accumulate) {
    unrolled<R * S>([&](int n) __attribute__((always_inline)) {
      acc[n / S][n % S] = load<V>(C.data + n / S * C.ld + n % S * W);
    });
  } else {
    unrolled<R * S>([&](int n) __attribute__((always_inline)) { acc[n / S][n % S] = V(0.0f); });
  }
  const float *a = A.data, *b = B.data;
#pragma GCC unroll 4  // the CPU predicts the end of a short loop badly, and K is about 64
  for (std::int64_t k = 0; k < K; ++k, a += A.step, b += B.ld) {
    V b_k[S];
    for (int s = 0; s < S; ++s) b_k[s] = load<V>(b + s * W);
    for (int i = 0; i < R; ++i) {
      const V a_ik(a[i * A.row]);
      for (int s = 0; s < S; ++s) acc[i][s] = fma(a_ik, b_k[s], acc[i][s]);
    }
  }
  if constexpr (Triangle) triangle_steps<V, R, S, 1>(acc, a, A, b, B.ld);
  unrolled<R * S>([&](int n) __attribute__((always_inline)) {
    store(C.data + n / S * C.ld + n % S * W, acc[n / S][n % S]);
  });
}

// C = or += A B. M is a multiple of kBlockRows, N a multiple of the register's lanes. With Triangle, row i
// sums over K + i steps.
template <class V, bool Triangle = false>
void product(RowMajor<float> C, TileOperand A, RowMajor<const float> B, ProductSize size,
             bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes, R = kBlockRows<V>;
  const auto [M, N, K] = size;
  for (std::int64_t i = 0; i < M; i += R) {
    const TileOperand A_i{A.data + i * A.row, A.row, A.step};
    float* C_i = C.data + i * C.ld;
    const std::int64_t K_i = Triangle ? K + i : K;
    std::int64_t j = 0;
    if constexpr (W == 16) {
      for (; j + 4 * W <= N; j += 4 * W) {
        for (std::int64_t h = 0; h < R; h += 4) {
          block_product<V, 4, 4, Triangle>({C_i + h * C.ld + j, C.ld}, {A_i.data + h * A.row, A.row, A.step},
                                           {B.data + j, B.ld}, Triangle ? K_i + h : K_i, accumulate);
        }
      }
    }
    for (; j + 2 * W <= N; j += 2 * W) {
      block_product<V, R, 2, Triangle>({C_i + j, C.ld}, A_i, {B.data + j, B.ld}, K_i, accumulate);
    }
    if (j < N) block_product<V, R, 1, Triangle>({C_i + j, C.ld}, A_i, {B.data + j, B.ld}, K_i, accumulate);
  }
}

// Copies (rows, n) times `factor` from a larger matrix of floats or bf16 into (padded_rows, padded). The
// padding is set to 0.
template <class V, class Real>
void pack_rows(float* out, std::int64_t padded_rows, std::int64_t padded, const Real* in, std::int64_t stride,
               std::int64_t rows, std::int64_t n, float factor) noexcept {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t c = 0;
    for (; c + W <= n; c += W) store(out + r * padded + c, load<V>(in + r * stride + c) * V(factor));
    if (c < n) {
      store(out + r * padded + c, load_n<V>(in + r * stride + c, n - c) * V(factor));
      c += W;
    }
    for (; c < padded; c += W) store(out + r * padded + c, V(0.0f));
  }
  for (std::int64_t i = rows * padded; i < padded_rows * padded; i += W) store(out + i, V(0.0f));
}

// The reverse of pack_rows: out (rows, n), a part of a larger matrix, = or += in (rows, padded) * factor.
template <class V, class Real>
void unpack_rows(Real* out, std::int64_t stride, const float* in, std::int64_t padded, std::int64_t rows,
                 std::int64_t n, float factor, bool accumulate) noexcept {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t r = 0; r < rows; ++r) {
    Real* out_r = out + r * stride;
    const float* in_r = in + r * padded;
    std::int64_t c = 0;
    for (; c + W <= n; c += W) {
      const V before = accumulate ? load<V>(out_r + c) : V(0.0f);
      store(out_r + c, fma(load<V>(in_r + c), V(factor), before));
    }
    if (c < n) {
      const V before = accumulate ? load_n<V>(out_r + c, n - c) : V(0.0f);
      store_n(out_r + c, fma(load<V>(in_r + c), V(factor), before), n - c);
    }
  }
}

}  // namespace inkling::simd
