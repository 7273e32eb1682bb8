// General matrix multiplication, C = A B: nine tenths of what training a transformer computes.
//
//   C_mn = sum_k A_mk B_kn (+ bias_n) (+ addend_mn)        A (M,K), B (K,N), C (M,N), bias (N)
//
// A fast one is a ladder, each rung there because of what the one below waits for (Goto & van de Geijn 2008,
// "Anatomy of high-performance matrix multiplication"; Van Zee & van de Geijn 2015, "BLIS"):
//   1. Naive: three loops, one multiply-add a step (reference::gemm). Each number is loaded for one use.
//   2. Register tile: the micro-kernel keeps an MR x NR tile of C in registers. A step of k loads MR + NR
//      numbers for MR * NR multiply-adds. With 32 registers of 16 floats, 8 x 48 makes 24 independent sums,
//      and two FMA units with a latency of 4 want 8 of them at least. One number of A is spread over a
//      register by a broadcast load, B comes as whole registers.
//   3. Packing: the operands are copied so that the micro-kernel reads both front to back: A in panels of MR
//      rows, [k][MR], B in panels of NR columns, [k][NR]. A transposed operand now costs no more than
//      another, pages and cache lines are used whole, and edges are padded.
//   4. Cache blocks: k is cut into steps of KC, so that a panel of A fits the L1 cache and a panel of B L2,
//      with the packed side that all panels of the other meet. What is not in L2 is fetched while the
//      micro-kernel computes on what is. C is visited once a step: first assigned, then added to.
//   5. Threads: C is cut into strips, mostly along its longer side. The other side's operand is shared by
//      all strips and packed first, by all threads; a strip's own operand is packed by the thread that is
//      about to use it.
//
//   loop over blocks of k, as large as the packed shared side may be                   ops/gemm.cc
//     pack the shared side                                        (in parallel)
//     loop over strips                                            (in parallel)
//       loop over steps of KC: pack the strip
//         loop over panels of B, loop over panels of A                                 ops/gemm_simd.h
//           loop over k: tile += a column of A's panel times a row of B's panel        the micro-kernel
//
// Strips and blocks depend on the shape alone, so each C_mn is summed in one order on any number of threads.
// With a few rows of X (decoding), Y = X W^T is bound by reading W once: `gemv` streams it and packs nothing.
// Up to kGemvRows a row of Y has the same bits however many there are: text does not depend on what is
// generated beside it.
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kGemvRows = 16;  // with more, packing pays

// A matrix that is read: element (i, j) is data[i * row_stride + j * col_stride]; one of the strides is 1.
struct MatrixView {
  const float* data;
  std::int64_t row_stride, col_stride;

  MatrixView transposed() const { return {data, col_stride, row_stride}; }
};

inline MatrixView rows(const float* data, std::int64_t ld) {
  return {data, ld, 1};
}

// C(M,N) = A(M,K) B(K,N) (+ bias(N) on every row) (+ addend(M,N)), nullptr for those not wanted. ldc is the
// row stride of C and of addend, which may be C. C overlaps no other input. Uses all threads; may be called
// from any. For example Y = X W^T + b:
//   gemm(Y, OC, rows(X, IC), rows(W, IC).transposed(), M, OC, IC, b, false);
void gemm(float* C, std::int64_t ldc, MatrixView A, MatrixView B, std::int64_t M, std::int64_t N,
          std::int64_t K, const float* bias, const float* addend);
inline void gemm(float* C, std::int64_t ldc, MatrixView A, MatrixView B, std::int64_t M, std::int64_t N,
                 std::int64_t K, const float* bias, bool accumulate) {
  gemm(C, ldc, A, B, M, N, K, bias, accumulate ? C : nullptr);
}

namespace reference {  // T is float or double

// Row-major, contiguous: A (M,K), B (K,N), C (M,N).
template <class T>
void gemm(T* C, const T* A, const T* B, std::int64_t M, std::int64_t N, std::int64_t K, const T* bias,
          bool accumulate);

}  // namespace reference

}  // namespace inkling
