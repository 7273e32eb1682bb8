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

struct MatrixView;  // ops/gemm/gemm.h

// The kernels of gemm in f32; ops/gemm/gemm.h explains how they work together. The micro-kernel computes a
// tile of C of MR x NR numbers. A is packed into panels of MR rows, and B into panels of NR columns. A row of
// A or a column of B is a "lane" of K numbers. Panels are `stride` floats apart.
struct GemmKernels {
  std::int64_t MR, NR;
  // Copies source(lane, k) to panel number lane / R, element k * R + lane % R. R is MR in pack_a and NR in
  // pack_b. Unused lanes of the last panel are set to zero.
  void (*pack_a)(float* panels, std::int64_t stride, MatrixView source, std::int64_t lanes,
                 std::int64_t K) noexcept;
  void (*pack_b)(float* panels, std::int64_t stride, MatrixView source, std::int64_t lanes,
                 std::int64_t K) noexcept;
  // C(M,N) = A B (+ bias(N)) (+ addend(M,N), rows ldc apart). A and B are packed.
  void (*multiply)(float* C, std::int64_t ldc, const float* a, std::int64_t a_stride, const float* b,
                   std::int64_t b_stride, std::int64_t M, std::int64_t N, std::int64_t K, const float* bias,
                   const float* addend) noexcept;
  // The same for a B that is not packed. Each panel of B is packed into `panel` just before it is used.
  // Columns [N, N_ahead) of B may be prefetched.
  void (*multiply_source)(float* C, std::int64_t ldc, const float* a, std::int64_t a_stride, MatrixView B,
                          float* panel, std::int64_t M, std::int64_t N, std::int64_t N_ahead, std::int64_t K,
                          const float* bias, const float* addend) noexcept;
};

// The kernels of gemm in bf16; ops/gemm/gemm_bf16.h explains how they work together.
//   pack_*        packs 16 lanes into tiles (ops/gemm/gemm_bf16_pack_simd.h)
//   multiply      multiplies rows of A by one panel of B
//   multiply_few  the same for at most 16 rows and all steps, with B from memory; C has room for 16 rows
//   finish_*      computes out (rows, columns) from the sums [columns/48](rows, 48), panel_stride apart
enum class TileOrder : std::uint8_t;
struct Bf16GemmKernels {
  void (*pack_f32)(bf16* tiles, std::int64_t step, const float* data, std::int64_t lane_stride,
                   std::int64_t k_stride, std::int64_t lanes, std::int64_t K, TileOrder order,
                   bool stream) noexcept;
  void (*pack_bf16)(bf16* tiles, std::int64_t step, const bf16* data, std::int64_t lane_stride,
                    std::int64_t k_stride, std::int64_t lanes, std::int64_t K, TileOrder order,
                    bool stream) noexcept;
  void (*multiply)(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                   std::int64_t steps, bool accumulate) noexcept;
  void (*multiply_few)(float* C, const bf16* a, const bf16* b, std::int64_t rows,
                       std::int64_t steps) noexcept;
  void (*finish_f32)(float* out, std::int64_t ld, const float* sums, std::int64_t panel_stride,
                     std::int64_t rows, std::int64_t columns, const float* bias, const float* addend,
                     bool stream) noexcept;
  void (*finish_bf16)(bf16* out, std::int64_t ld, const float* sums, std::int64_t panel_stride,
                      std::int64_t rows, std::int64_t columns, const float* bias, const bf16* addend,
                      bool stream) noexcept;
};

enum class Binary : std::uint8_t;
enum class Unary : std::uint8_t;
enum class Side : std::uint8_t;
struct AdamWFactors;
struct SgdFactors;

struct Kernels {
  Isa isa;

  // ---- ops/gemm/gemm.h
  GemmKernels gemm;
  Bf16GemmKernels bf16_gemm;
  // C(M,N) = X(M,K) W(N,K)^T (+ bias(N)) (+ C) for a few rows of X: each row of W is read once, in order.
  void (*gemv)(float* C, std::int64_t ldc, const float* x, std::int64_t ldx, const float* w, std::int64_t ldw,
               std::int64_t M, std::int64_t N, std::int64_t K, const float* bias, bool accumulate) noexcept;

  // ---- ops/gemm/gemv_int8.h
  // int8_input prepares one row of X. gemv_int8 multiplies prepared rows by one panel of W:
  // y (M, columns) = x (M,K) q (K,64) times scales (+ bias) (+ addend). Prepared rows of x are `stride` bytes
  // apart; rows of y and addend are ldy floats apart.
  void (*int8_input)(std::byte* out, const float* x, std::int64_t K) noexcept;
  void (*gemv_int8)(float* y, const float* addend, std::int64_t ldy, const std::byte* x, std::int64_t stride,
                    const std::int8_t* q, const float* scales, const float* bias, std::int64_t M,
                    std::int64_t columns, std::int64_t K) noexcept;

  // ---- ops/elementwise.h
  // Each call works on a run of n elements. a_step and b_step are 1, or 0 if the operand has only one
  // element, which is used for the whole run.
  void (*binary_forward)(Binary op, float* y, const float* a, const float* b, std::int64_t n,
                         std::int64_t a_step, std::int64_t b_step) noexcept;
  void (*binary_backward)(Binary op, Side of, float* dx, const float* dy, const float* a, const float* b,
                          std::int64_t n, std::int64_t a_step, std::int64_t b_step, bool accumulate) noexcept;
  void (*unary_forward)(Unary op, float* y, const float* x, std::int64_t n, float s) noexcept;
  void (*unary_backward)(Unary op, float* dx, const float* dy, const float* x, const float* y, std::int64_t n,
                         float s, bool accumulate) noexcept;

  // ---- ops/reduce.h
  float (*sum_row)(const float* x, std::int64_t n) noexcept;
  void (*sum_columns)(float* out, const float* x, std::int64_t n, std::int64_t columns,
                      std::int64_t row_stride, float scale, bool accumulate) noexcept;
  void (*sum_columns_bf16)(float* out, const bf16* x, std::int64_t n, std::int64_t columns,
                           std::int64_t row_stride, float scale, bool accumulate) noexcept;
  float (*max_row)(const float* x, std::int64_t n) noexcept;
  void (*max_columns)(float* out, const float* x, std::int64_t n, std::int64_t columns,
                      std::int64_t row_stride) noexcept;
  // out[i] = or += scale * x[i * step]; step is 0 or 1
  void (*add_scaled)(float* out, const float* x, std::int64_t n, std::int64_t step, float scale,
                     bool accumulate) noexcept;

  // ---- ops/layernorm.h
  void (*layernorm_forward)(float* y, float* mean, float* rstd, const float* x, const float* weight,
                            const float* bias, std::int64_t rows, std::int64_t C) noexcept;
  void (*layernorm_forward_bf16)(bf16* y, float* mean, float* rstd, const float* x, const float* weight,
                                 const float* bias, std::int64_t rows, std::int64_t C) noexcept;
  void (*layernorm_backward)(float* dx, float* dweight, float* dbias, const float* dy, const float* x,
                             const float* weight, const float* mean, const float* rstd, std::int64_t rows,
                             std::int64_t C, bool accumulate) noexcept;
  void (*layernorm_backward_bf16)(float* dx, float* dweight, float* dbias, const bf16* dy, const float* x,
                                  const float* weight, const float* mean, const float* rstd,
                                  std::int64_t rows, std::int64_t C, bool accumulate) noexcept;

  // ---- ops/roof/roof.h
  std::int64_t (*fma_loop)(float* sink, std::int64_t iterations) noexcept;
  std::int64_t (*bf16_dot_loop)(float* sink,
                                std::int64_t iterations) noexcept;  // nullptr if there is no such instruction
  void (*triad)(float* a, const float* b, const float* c, float s, std::int64_t n) noexcept;
  float (*read_all)(const float* a, std::int64_t n) noexcept;

  // ---- ops/gelu.h
  void (*gelu_forward)(float* y, const float* x, std::int64_t n) noexcept;
  void (*gelu_forward_bf16)(bf16* y, const bf16* x, std::int64_t n) noexcept;
  void (*gelu_backward)(float* dx, const float* dy, const float* x, std::int64_t n, bool accumulate) noexcept;
  void (*gelu_backward_bf16)(bf16* dx, const bf16* dy, const bf16* x, std::int64_t n,
                             bool accumulate) noexcept;

  // ---- ops/softmax.h
  void (*softmax_forward)(float* y, const float* x, std::int64_t rows, std::int64_t C) noexcept;
  void (*softmax_backward)(float* dx, const float* dy, const float* y, std::int64_t rows, std::int64_t C,
                           bool accumulate) noexcept;

  // ---- ops/cross_entropy.h
  void (*cross_entropy_forward)(float* losses, float* row_max, float* row_sum, const float* logits,
                                const std::int32_t* targets, std::int64_t rows, std::int64_t vocab,
                                std::int64_t Vp) noexcept;
  void (*cross_entropy_backward)(float* dlogits, const float* logits, const std::int32_t* targets,
                                 const float* row_max, const float* row_sum, float scale, std::int64_t rows,
                                 std::int64_t vocab, std::int64_t Vp, bool accumulate) noexcept;
  // Forward and backward in one call. The gradient replaces the logits.
  void (*cross_entropy_in_place)(float* losses, float* logits, const std::int32_t* targets, float scale,
                                 std::int64_t rows, std::int64_t vocab, std::int64_t Vp) noexcept;
  // The same with a bf16 gradient. The gradient of row r is stored in the first half of the memory of row r's
  // logits.
  void (*cross_entropy_in_place_bf16)(float* losses, float* logits, const std::int32_t* targets, float scale,
                                      std::int64_t rows, std::int64_t vocab, std::int64_t Vp) noexcept;

  // ---- ops/update/adamw.h, ops/update/sgd.h, ops/update/sum_of_squares.h
  void (*adamw_update)(float* p, float* m, float* v, const float* g, std::int64_t n,
                       const AdamWFactors& f) noexcept;
  void (*sgd_update)(float* p, float* b, const float* g, std::int64_t n, const SgdFactors& f) noexcept;
  double (*sum_of_squares)(const float* x, std::int64_t n) noexcept;

  // ---- ops/views.h: out (columns, rows) = or += the transpose of in (rows, columns)
  void (*transpose)(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride,
                    std::int64_t rows, std::int64_t columns, bool accumulate) noexcept;

  // ---- core/bf16.h: y and x (n). A model uses only `narrow`; `widen`, the reverse, is used in tests.
  void (*widen)(float* y, const bf16* x, std::int64_t n) noexcept;
  void (*narrow)(bf16* y, const float* x, std::int64_t n) noexcept;

  // ---- ops/attention/attention.h
  // One head of one sequence. Rows of q, k, v and their gradients are `stride` apart, rows of out and dout
  // `out_stride`. `scratch` has attention_scratch_floats(T, HS) floats.
  void (*attention_forward)(float* out, std::int64_t out_stride, float* max, float* inverse_sum,
                            const float* q, const float* k, const float* v, std::int64_t stride,
                            std::int64_t T, std::int64_t HS, float* scratch) noexcept;
  void (*attention_backward)(float* dq, float* dk, float* dv, const float* dout, const float* out,
                             std::int64_t out_stride, const float* q, const float* k, const float* v,
                             std::int64_t stride, const float* max, const float* inverse_sum, std::int64_t T,
                             std::int64_t HS, bool accumulate, float* scratch) noexcept;
  void (*attention_forward_bf16)(bf16* out, std::int64_t out_stride, float* max, float* inverse_sum,
                                 const bf16* q, const bf16* k, const bf16* v, std::int64_t stride,
                                 std::int64_t T, std::int64_t HS, float* scratch) noexcept;
  void (*attention_backward_bf16)(bf16* dq, bf16* dk, bf16* dv, const bf16* dout, const bf16* out,
                                  std::int64_t out_stride, const bf16* q, const bf16* k, const bf16* v,
                                  std::int64_t stride, const float* max, const float* inverse_sum,
                                  std::int64_t T, std::int64_t HS, bool accumulate, float* scratch) noexcept;

  // ---- ops/attention/attention_decode.h
  // One head of one sequence. `keys` and `values` are the head's part of the cache. The kernel prefetches
  // `next`, the keys of another head, while it computes.
  void (*attention_decode)(float* out, std::int64_t out_stride, float* keys, float* values, const float* q,
                           const float* k, const float* v, std::int64_t stride, std::int64_t pos,
                           std::int64_t Tq, std::int64_t HS, const float* next, float* scratch) noexcept;
};

const Kernels& kernels();

// The table of one instruction set, which must be among available_isas().
const Kernels& kernels(Isa isa);

// Makes kernels() return the table of `isa`; the tests use this to test every table. Error if this CPU cannot
// run it.
void use_isa(Isa isa);

// Makes kernels() return this table, which must stay alive. It may be any table: the tests pass a table that
// emulates AMX.
void use_table(const Kernels& table);

}  // namespace inkling
