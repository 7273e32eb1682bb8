// General matrix multiplication, C = A B. It is nine tenths of the arithmetic of training a transformer.
//
//   C_mn = sum_k A_mk B_kn (+ bias_n) (+ addend_mn)        A (M,K), B (K,N), C (M,N), bias (N)
//
// A fast gemm is built like a ladder. Each rung removes what the rung below waits for (Goto & van de Geijn
// 2008, "Anatomy of high-performance matrix multiplication"; Van Zee & van de Geijn 2015, "BLIS"):
//   1. Naive: three loops, one multiply-add at a time (reference::gemm). Each loaded number is used once.
//   2. Register tile: the micro-kernel keeps an MR x NR tile of C in registers. One step of k loads MR + NR
//      numbers and does MR * NR multiply-adds. With 32 registers of 16 floats, a tile of 8 x 48 is 24
//      independent sums; two FMA units with a latency of 4 cycles need at least 8. One number of A is
//      copied to all lanes by a broadcast load; B is loaded in whole registers.
//   3. Packing: the operands are copied so that the micro-kernel reads both from front to back: A in panels
//      of MR rows, [k][MR], B in panels of NR columns, [k][NR]. Then a transposed operand costs no more than
//      a plain one, pages and cache lines are used completely, and edges are padded with zeros.
//   4. Cache blocks: k is cut into steps of KC numbers, so that a panel of A fits into the L1 cache and a
//      panel of B into L2, together with the packed side that all panels of the other side meet. Data that
//      is not in L2 yet is prefetched while the micro-kernel computes. Each step of k visits C once: the
//      first step assigns, later steps add.
//   5. Threads: C is cut into strips, usually along its longer side. The operand of the other side is shared
//      by all strips; all threads pack it first. A strip's own operand is packed by the thread that uses it.
//
//   loop over blocks of k, as large as the packed shared side may be                   ops/gemm/gemm.cc
//     pack the shared side                                        (in parallel)
//     loop over strips                                            (in parallel)
//       loop over steps of KC: pack the strip
//         loop over panels of B, loop over panels of A                                 ops/gemm/gemm_simd.h
//           loop over k: tile += a column of A's panel times a row of B's panel        the micro-kernel
//
// Strips and blocks depend only on the shape, so each C_mn is summed in the same order on any number of
// threads. When X has only a few rows (generation), the time of Y = X W^T is the time to read W once. Then
// `gemv` streams W from memory and packs nothing. For up to kGemvRows rows, each row of Y has the same bits
// however many rows there are, so a generated text does not depend on the texts generated beside it.
//
// In training this runs as GemmKernels::multiply and multiply_source in ops/gemm/gemm_simd.h.
#pragma once

#include <cstdint>

#include "ops/gemm/operands.h"

namespace inkling {

constexpr std::int64_t kGemvRows = 16;  // the most rows for gemv; with more rows, packing is faster

// C(M,N) = A(M,K) B(K,N) (+ bias) (+ addend). Uses all threads; any thread may call it.
// For example Y = X W^T + b:
//   gemm({Y, OC, b}, rows(X, IC), rows(W, IC).transposed(), {M, OC, IC});
void gemm(const MatrixOut<float>& C, const MatrixIn<float>& A, const MatrixIn<float>& B, ProductSize size);

namespace reference {  // T is float or double

// Row-major, contiguous: A (M,K), B (K,N), C (M,N).
template <class T>
void gemm(T* C, const T* A, const T* B, std::int64_t M, std::int64_t N, std::int64_t K, const T* bias,
          bool accumulate);

}  // namespace reference

}  // namespace inkling
