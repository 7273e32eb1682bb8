// The table of kernels: one struct of function pointers, one table for each instruction set.
//
// A kernel computes on one thread, knows SIMD but not threads, checks nothing and never throws; the op that
// calls it checks shapes, cuts the work into fixed chunks and knows threads but not SIMD. Outputs come first,
// then inputs, then dims. Forward kernels assign. Backward kernels accumulate. A kernel with an argument
// `accumulate` assigns if it is false, because it may be the first to write a gradient.
//
// Each ops/isa/isa_*.cc fills a table from the templates in *_simd.h (ops/isa/table.h) with its own compiler
// flags. kernels() is the table in use: the table of the most powerful instruction set that this CPU can run,
// or of the instruction set that INKLING_ISA names.
#pragma once

#include <cstdint>

#include "core/bf16.h"
#include "core/cpu.h"

namespace inkling {

// Structs for the arguments of kernels with many arguments. Each op's header defines its structs, with the
// shapes of the arrays.
template <class T>
struct MatrixIn;  // ops/gemm/operands.h, like the next four
template <class T>
struct MatrixOut;
template <class T>
struct Panels;
struct ProductSize;
struct TileRun;
struct Int8Panel;  // ops/gemm/gemv_int8.h
struct Int8Rows;
enum class Binary : std::uint8_t;  // ops/elementwise.h, like the next three
enum class Unary : std::uint8_t;
enum class Side : std::uint8_t;
struct Operand;
template <class T, class Real>
struct LayerNormForward;  // ops/layernorm.h
template <class T, class Real>
struct LayerNormBackward;
struct TargetRows;  // ops/cross_entropy.h
template <class T>
struct AttentionForward;  // ops/attention/attention.h
template <class T>
struct AttentionBackward;
struct AttentionDecode;  // ops/attention/attention_decode.h
struct AdamWFactors;     // ops/update/adamw.h
struct SgdFactors;       // ops/update/sgd.h

// The kernels of gemm in f32; ops/gemm/gemm.h explains how they work together. The micro-kernel computes a
// tile of C of MR x NR numbers. A is packed into panels of MR rows, and B into panels of NR columns. A row of
// A or a column of B is a "lane" of K numbers.
struct GemmKernels {
  std::int64_t MR, NR;
  // Copies source(lane, k) to panel number lane / R, element k * R + lane % R. Panels are `stride` floats
  // apart. R is MR in pack_a and NR in pack_b. Unused lanes of the last panel are set to zero.
  void (*pack_a)(float* panels, std::int64_t stride, MatrixIn<float> source, std::int64_t lanes,
                 std::int64_t K) noexcept;
  void (*pack_b)(float* panels, std::int64_t stride, MatrixIn<float> source, std::int64_t lanes,
                 std::int64_t K) noexcept;
  // C = A B. A and B are packed.
  void (*multiply)(const MatrixOut<float>& C, Panels<float> A, Panels<float> B, ProductSize size) noexcept;
  // The same for a B that is not packed. Each panel of B is packed into `panel` just before it is used.
  // Columns [N, N_ahead) of B may be prefetched.
  void (*multiply_source)(const MatrixOut<float>& C, Panels<float> A, MatrixIn<float> B, float* panel,
                          ProductSize size, std::int64_t N_ahead) noexcept;
};

// The kernels of gemm in bf16 that multiply packed factors; ops/gemm/gemm_bf16.h explains how they work
// together.
//   multiply      multiplies rows of A by one panel of B
//   multiply_few  the same for at most 16 rows and all steps, with B from memory; C has room for 16 rows
struct Bf16GemmKernels {
  void (*multiply)(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                   std::int64_t steps, bool accumulate) noexcept;
  void (*multiply_few)(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                       std::int64_t steps) noexcept;
};

// The kernels that exist twice, for arrays of float and for arrays of bf16. T is the type of the arrays that
// may be either; their arithmetic is float.
template <class T>
struct KernelsOf {
  // ---- ops/gemm/gemm_bf16.h
  // Packs 16 lanes in(lane, k) into tiles.
  void (*pack)(const TileRun& to, const MatrixIn<T>& in, std::int64_t lanes, std::int64_t K) noexcept;
  // Computes C (rows, columns) from the sums [columns/48](rows, 48), which are Panels of 48 columns.
  void (*finish)(const MatrixOut<T>& C, Panels<float> sums, std::int64_t rows, std::int64_t columns) noexcept;

  // ---- ops/reduce.h
  void (*sum_columns)(float* out, const T* x, std::int64_t n, std::int64_t columns, std::int64_t row_stride,
                      float scale, bool accumulate) noexcept;

  // ---- ops/layernorm.h: y and dy have type T
  void (*layernorm_forward)(const LayerNormForward<T, float>& arguments) noexcept;
  void (*layernorm_backward)(const LayerNormBackward<T, float>& arguments) noexcept;

  // ---- ops/gelu.h
  void (*gelu_forward)(T* y, const T* x, std::int64_t n) noexcept;
  void (*gelu_backward)(T* dx, const T* dy, const T* x, std::int64_t n, bool accumulate) noexcept;

  // ---- ops/cross_entropy.h
  // Forward and backward in one call. The gradient replaces the logits. A bf16 gradient of row r is stored in
  // the first half of the memory of row r's logits.
  void (*cross_entropy_in_place)(float* losses, float* logits, float scale, const TargetRows& rows) noexcept;

  // ---- ops/attention/attention.h: one head of one sequence
  // `scratch` has attention_scratch_floats(T, HS) floats.
  void (*attention_forward)(const AttentionForward<T>& head, float* scratch) noexcept;
  void (*attention_backward)(const AttentionBackward<T>& head, float* scratch) noexcept;
};

struct Kernels {
  Isa isa;

  KernelsOf<float> of_f32;
  KernelsOf<bf16> of_bf16;
  template <class T>  // float or bf16
  const KernelsOf<T>& of() const;

  // ---- ops/gemm/gemm.h
  GemmKernels gemm;
  Bf16GemmKernels bf16_gemm;
  // C = X W^T for a few rows of X (M,K): each row of W (N,K) is read once, in order. Rows are contiguous.
  void (*gemv)(const MatrixOut<float>& C, MatrixIn<float> X, MatrixIn<float> W, ProductSize size) noexcept;

  // ---- ops/gemm/gemv_int8.h
  // int8_input prepares one row of X. gemv_int8 multiplies M prepared rows by one panel of W.
  void (*int8_input)(std::byte* out, const float* x, std::int64_t K) noexcept;
  void (*gemv_int8)(const MatrixOut<float>& Y, Int8Rows X, Int8Panel W, std::int64_t M,
                    std::int64_t K) noexcept;

  // ---- ops/elementwise.h
  // Each call works on a run of n elements.
  void (*binary_forward)(Binary op, float* y, Operand a, Operand b, std::int64_t n) noexcept;
  void (*binary_backward)(Binary op, Side of, float* dx, const float* dy, Operand a, Operand b,
                          std::int64_t n, bool accumulate) noexcept;
  void (*unary_forward)(Unary op, float* y, const float* x, std::int64_t n, float s) noexcept;
  void (*unary_backward)(Unary op, float* dx, const float* dy, const float* x, const float* y, std::int64_t n,
                         float s, bool accumulate) noexcept;

  // ---- ops/reduce.h
  float (*sum_row)(const float* x, std::int64_t n) noexcept;
  float (*max_row)(const float* x, std::int64_t n) noexcept;
  void (*max_columns)(float* out, const float* x, std::int64_t n, std::int64_t columns,
                      std::int64_t row_stride) noexcept;
  // out[i] = or += scale * x[i * step]; step is 0 or 1
  void (*add_scaled)(float* out, const float* x, std::int64_t n, std::int64_t step, float scale,
                     bool accumulate) noexcept;

  // ---- ops/roof/roof.h
  std::int64_t (*fma_loop)(float* sink, std::int64_t iterations) noexcept;
  std::int64_t (*bf16_dot_loop)(float* sink,
                                std::int64_t iterations) noexcept;  // nullptr if there is no such instruction
  void (*triad)(float* a, const float* b, const float* c, float s, std::int64_t n) noexcept;
  float (*read_all)(const float* a, std::int64_t n) noexcept;

  // ---- ops/softmax.h
  void (*softmax_forward)(float* y, const float* x, std::int64_t rows, std::int64_t C) noexcept;
  void (*softmax_backward)(float* dx, const float* dy, const float* y, std::int64_t rows, std::int64_t C,
                           bool accumulate) noexcept;

  // ---- ops/cross_entropy.h
  void (*cross_entropy_forward)(float* losses, float* row_max, float* row_sum, const float* logits,
                                const TargetRows& rows) noexcept;
  void (*cross_entropy_backward)(float* dlogits, const float* logits, const float* row_max,
                                 const float* row_sum, float scale, const TargetRows& rows,
                                 bool accumulate) noexcept;

  // ---- ops/update/adamw.h, ops/update/sgd.h, ops/update/sum_of_squares.h
  void (*adamw_update)(float* p, float* m, float* v, const float* g, std::int64_t n,
                       const AdamWFactors& f) noexcept;
  void (*sgd_update)(float* p, float* b, const float* g, std::int64_t n, const SgdFactors& f) noexcept;
  double (*sum_of_squares)(const float* x, std::int64_t n) noexcept;

  // ---- ops/views.h: out (columns, rows) = or += the transpose of in (rows, columns)
  void (*transpose)(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride,
                    std::int64_t rows, std::int64_t columns, bool accumulate) noexcept;

  // ---- core/bf16.h: y and x (n)
  void (*narrow)(bf16* y, const float* x, std::int64_t n) noexcept;

  // ---- ops/attention/attention_decode.h: one head of one sequence
  // `scratch` has attention_scratch_floats(pos + Tq, HS) floats.
  void (*attention_decode)(const AttentionDecode& head, float* scratch) noexcept;
};

template <>
inline const KernelsOf<float>& Kernels::of<float>() const {
  return of_f32;
}
template <>
inline const KernelsOf<bf16>& Kernels::of<bf16>() const {
  return of_bf16;
}

const Kernels& kernels();

// The table of one instruction set, which must be among available_isas().
const Kernels& kernels(Isa isa);

// Makes kernels() return this table, which must stay alive. `inkling verify --all` calls it for each table of
// this machine; the tests also call it for a table that emulates AMX.
void use_table(const Kernels& table);

}  // namespace inkling
