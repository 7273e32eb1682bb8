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

struct AdamWFactors;
struct SgdFactors;

struct Kernels {
  Isa isa;

  // ---- ops/layernorm.h
  void (*layernorm_forward)(float* y, float* mean, float* rstd, const float* x, const float* weight, const float* bias,
                            std::int64_t rows, std::int64_t C) noexcept;
  void (*layernorm_backward)(float* dx, float* dweight, float* dbias, const float* dy, const float* x,
                             const float* weight, const float* mean, const float* rstd, std::int64_t rows, std::int64_t C,
                             bool accumulate) noexcept;

  // ---- ops/gelu.h
  void (*gelu_forward)(float* y, const float* x, std::int64_t n) noexcept;
  void (*gelu_backward)(float* dx, const float* dy, const float* x, std::int64_t n, bool accumulate) noexcept;

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
  // Both at once; the gradient takes the logits' place.
  void (*cross_entropy_in_place)(float* losses, float* logits, const std::int32_t* targets, float scale,
                                 std::int64_t rows, std::int64_t vocab, std::int64_t Vp) noexcept;

  // ---- ops/adamw.h, ops/sgd.h, ops/sum_of_squares.h
  void (*adamw_update)(float* p, float* m, float* v, const float* g, std::int64_t n, const AdamWFactors& f) noexcept;
  void (*sgd_update)(float* p, float* b, const float* g, std::int64_t n, const SgdFactors& f) noexcept;
  double (*sum_of_squares)(const float* x, std::int64_t n) noexcept;

  // ---- ops/math_simd.h: y and x (n), which may be one array
  void (*exp)(float* y, const float* x, std::int64_t n) noexcept;
  void (*log)(float* y, const float* x, std::int64_t n) noexcept;
  void (*tanh)(float* y, const float* x, std::int64_t n) noexcept;
};

const Kernels& kernels();

// The table of one instruction set, which must be among available_isas().
const Kernels& kernels(Isa isa);

// Makes kernels() return the table of `isa` (the tests try each). Error when this CPU cannot run it.
void use_isa(Isa isa);

}  // namespace inkling
