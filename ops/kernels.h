// The table of kernels: one struct of function pointers, one table for each instruction set.
//
// A kernel computes on one thread, knows SIMD but not threads, checks nothing and never throws; the op that calls it checks shapes,
// cuts the work into fixed chunks and knows threads but not SIMD. Outputs come first, then inputs, then dims. Forward kernels
// assign. Backward kernels accumulate; those that may be the first to write get `accumulate` and assign when it is false.
//
// Each ops/isa_*.cc fills a table from the templates in *_simd.h (ops/table.h) with its own compiler flags. kernels() is the
// table in use: the best the CPU can run, or what INKLING_ISA names.
#pragma once

#include <cstdint>

#include "core/cpu.h"

namespace inkling {

struct MatrixView;  // ops/gemm.h

// What gemm's driver knows of one kind of micro-kernel: its tile of C is MR x NR; its operands are packed into panels of MR rows of A and
// NR columns of B, each row or column a "lane" of K numbers. Panels are some `stride` of floats apart. ops/gemm.h tells the story.
struct GemmKernels {
  std::int64_t MR, NR;
  // source(lane, k) goes to panel lane / R, place k * R + lane % R, R being MR or NR. Unused lanes of the last panel hold anything.
  void (*pack_a)(float* panels, std::int64_t stride, MatrixView source, std::int64_t lanes, std::int64_t K) noexcept;
  void (*pack_b)(float* panels, std::int64_t stride, MatrixView source, std::int64_t lanes, std::int64_t K) noexcept;
  // C(M,N) = A B (+ bias(N)) (+ C), A and B packed.
  void (*multiply)(float* C, std::int64_t ldc, const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                   std::int64_t M, std::int64_t N, std::int64_t K, const float* bias, bool accumulate) noexcept;
  // The same with B where it lies, packed on the way, a panel at a time, into `panel`. Columns [N, N_ahead) of B may be prefetched.
  void (*multiply_source)(float* C, std::int64_t ldc, const float* a, std::int64_t a_stride, MatrixView B, float* panel,
                          std::int64_t M, std::int64_t N, std::int64_t N_ahead, std::int64_t K, const float* bias,
                          bool accumulate) noexcept;
};

struct Kernels {
  Isa isa;

  // ---- ops/gemm.h
  GemmKernels gemm;
  // C(M,N) = X(M,K) W(N,K)^T (+ bias(N)) (+ C) for few rows of X: each row of W is read once, in order.
  void (*gemv)(float* C, std::int64_t ldc, const float* x, std::int64_t ldx, const float* w, std::int64_t ldw, std::int64_t M,
               std::int64_t N, std::int64_t K, const float* bias, bool accumulate) noexcept;

  // ---- ops/linear.h
  void (*column_sums)(float* sums, const float* x, std::int64_t ldx, std::int64_t rows, std::int64_t columns,
                      bool accumulate) noexcept;

  // ---- ops/layernorm.h
  void (*layernorm_forward)(float* y, float* mean, float* rstd, const float* x, const float* weight, const float* bias,
                            std::int64_t rows, std::int64_t C) noexcept;
  void (*layernorm_backward)(float* dx, float* dweight, float* dbias, const float* dy, const float* x,
                             const float* weight, const float* mean, const float* rstd, std::int64_t rows, std::int64_t C,
                             bool accumulate) noexcept;
};

const Kernels& kernels();

// The table of one instruction set, which must be among available_isas().
const Kernels& kernels(Isa isa);

// Makes kernels() return the table of `isa` (the tests try each). Error when this CPU cannot run it.
void use_isa(Isa isa);

}  // namespace inkling
