// Matrix multiplication in bf16: C = A B with the factors rounded to bf16 and every sum in f32.
//
// bf16 halves what a factor takes in memory, and CPUs have instructions for it that do much more at once.
// They all multiply pairs: a 32-bit place holds two neighbours of the summed dimension, and the instruction
// adds a_0 b_0 + a_1 b_1 to an f32 sum. So both factors are packed once into tiles of pairs, in one layout
// that serves three kinds of micro-kernel (ops/gemm_bf16_*simd.h):
//   AMX          a tile register is 16 rows of 64 bytes; one instruction multiplies (16,32) by (32,16)
//   AVX512-BF16  vdpbf16ps: a register of pairs of B times one pair of A, spread over all lanes
//   any other    pairs are widened: the upper half of the 32 bits is a float as it is, the lower one shifted
//
// A tile is 16 lanes (rows of A or columns of B) times 32 steps of k: 16 x 16 pairs, 1 KiB.
//   A:  [M/16][K/32] tiles, in a tile [lane][pair]
//   B:  [N/48][K/32][3] tiles, in a tile [pair][lane]: a panel of 48 columns is read front to back
// Both are padded with zeros to whole tiles, B to whole panels.
//
// B is read from the second cache: blocks of 12 steps (36 KiB) of a panel stay in the first while all rows of
// a chunk of A pass by; their sums, (rows, 48) f32, are scratch in the second. A chunk of A has as many rows
// as stay there too. What becomes of the finished sums is the last pass's business: bias, addend, rounding.
//
// For a few rows (decoding) all there is to do is to read the weights: they are streamed from memory, once,
// and the sums of all of K stay in registers. Up to kGemvRows (ops/gemm.h) a row of C has the same bits
// however many there are.
//
// Weights are packed twice, for Y = X W^T and for dX = dY W, when the optimiser has changed them
// (nn/packed_weights.h). Activations are packed at every call.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace inkling {

// A factor to be packed, f32 or bf16: element (i, j) is data[i * row_stride + j * col_stride]; one of the
// strides is 1.
struct PackSource {
  const void* data;
  DType dtype;
  std::int64_t row_stride, col_stride;

  PackSource transposed() const { return {data, dtype, col_stride, row_stride}; }
};

inline PackSource rows(const Tensor& x) {  // a contiguous tensor (..., columns)
  return {x.raw(), x.dtype(), x.shape().back(), 1};
}

// Where the sums go, and what is added to them: out (M,N) = A B (+ bias(N)) (+ addend (M,N)), rows ld apart,
// those of addend too. addend may be out itself. A bf16 `out` is rounded once, at the end.
struct Sums {
  void* out;
  DType dtype;  // f32 or bf16
  std::int64_t ld;
  const float* bias = nullptr;
  const void* addend = nullptr;  // of the same dtype
  bool stream = false;           // nobody wants `out` soon: it need not stay in a cache
};

// Elements of B (K,N), packed.
std::int64_t packed_b_count(std::int64_t N, std::int64_t K);

// All of B (K,N), packed, on all threads: for tests and benchmarks. A model's weights are packed by rows.
void pack_b(bf16* packed, const PackSource& B, std::int64_t K, std::int64_t N);

// Rows [begin, end) of a weight W (OC, IC), packed twice: as W^T (IC, OC), for Y = X W^T, and, unless
// nullptr, as W (OC, IC), for dX = dY W. `begin` is a multiple of kWeightRows, `end` one too or OC. One
// thread. What pads the last panels is left as it is: zero.
constexpr std::int64_t kWeightRows = 32;
void pack_weight_rows(bf16* packed, bf16* packed_transposed, const float* W, std::int64_t OC, std::int64_t IC,
                      std::int64_t begin, std::int64_t end);

// A B with B packed before. Uses all threads; may be called from any.
void gemm_bf16(const Sums& C, const PackSource& A, const bf16* packed_b, std::int64_t M, std::int64_t N,
               std::int64_t K);

// A B, both packed on the way.
void gemm_bf16(const Sums& C, const PackSource& A, const PackSource& B, std::int64_t M, std::int64_t N,
               std::int64_t K);

}  // namespace inkling
