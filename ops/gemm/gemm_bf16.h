// Matrix multiplication in bf16: C = A B with the factors rounded to bf16 and every sum in f32.
//
// A bf16 factor takes half the memory, and CPUs have faster instructions for it. All of them multiply pairs:
// a 32-bit lane holds two neighbours along k, and the instruction adds a_0 b_0 + a_1 b_1 to an f32 sum. So
// both factors are packed once into tiles of pairs. One layout serves three kinds of micro-kernel
// (gemm_bf16_*simd.h):
//   AMX          a tile register has 16 rows of 64 bytes; one instruction multiplies (16,32) by (32,16)
//   AVX512-BF16  vdpbf16ps multiplies a register of pairs of B by one pair of A, copied to all lanes
//   all others   pairs are widened to floats: the upper one is in place, the lower one is shifted up
//
// A tile is 16 lanes (rows of A or columns of B) times 32 steps of k: 16 x 16 pairs, 1 KiB.
//   A:  [M/16][K/32] tiles, in a tile [lane][pair]
//   B:  [N/48][K/32][3] tiles, in a tile [pair][lane]: a panel of 48 columns is read front to back
// Both are padded with zeros to whole tiles, and B to whole panels.
//
// B is read from the L2 cache. A block of 12 steps of a panel (36 KiB) stays in L1 while all rows of a chunk
// of A are multiplied with it. Their sums, (rows, 48) f32, are scratch memory in L2. A chunk of A has as many
// rows as fit into L2 together with them. A last pass turns the finished sums into the result: it adds bias
// and addend, and rounds.
//
// With a few rows (generation), almost all time is spent reading the weights. They are streamed from memory
// once, and the sums over all of K stay in registers. For up to kGemvRows rows (ops/gemm/gemm.h), a row of C
// has the same bits however many rows there are.
//
// Weights are packed twice, for Y = X W^T and for dX = dY W, after the optimiser has changed them
// (nn/packed_weights.h). Activations are packed at every call.
//
// In training this runs as multiply_amx in ops/gemm/gemm_bf16_amx_simd.h, multiply_dot in
// ops/gemm/gemm_bf16_dot_simd.h or multiply_widened in ops/gemm/gemm_bf16_simd.h, whichever the CPU has; then
// the last pass is finish_sums in ops/gemm/gemm_bf16_simd.h.
#pragma once

#include <cstdint>

#include "ops/gemm/operands.h"

namespace inkling {

// The number of elements of a packed B (K,N).
std::int64_t packed_b_count(std::int64_t N, std::int64_t K);

// Packs all of B (K,N), on all threads. T is float or bf16. Only benchmarks and tests use it: a model's
// weights are packed row by row.
template <class T>
void pack_b(bf16* packed, const MatrixIn<T>& B, std::int64_t K, std::int64_t N);

// Packs rows [begin, end) of a weight W (OC, IC) twice: as W^T (IC, OC), for Y = X W^T, and, unless
// packed_transposed is nullptr, as W (OC, IC), for dX = dY W. `begin` is a multiple of kWeightRows; `end` is
// a multiple too, or OC. Runs on one thread. The padding of the last panels is not written; it must be zero.
constexpr std::int64_t kWeightRows = 32;
void pack_weight_rows(bf16* packed, bf16* packed_transposed, const float* W, std::int64_t OC, std::int64_t IC,
                      std::int64_t begin, std::int64_t end);

// In the next two functions TC, TA and TB, the types of the matrices, are float or bf16.

// C = A B, where B is packed already. Uses all threads; any thread may call it.
template <class TC, class TA>
void gemm_bf16(const MatrixOut<TC>& C, const MatrixIn<TA>& A, const bf16* packed_b, ProductSize size);

// C = A B, where both are packed during the call.
template <class TC, class TA, class TB>
void gemm_bf16(const MatrixOut<TC>& C, const MatrixIn<TA>& A, const MatrixIn<TB>& B, ProductSize size);

}  // namespace inkling
