// Builds one table of kernels from the kernel templates. Only ops/isa/isa_*.cc include this file.
#pragma once

#include "ops/attention/attention_decode_simd.h"
#include "ops/elementwise_simd.h"
#include "ops/gemm/gemm_simd.h"
#include "ops/gemm/gemv_int8_simd.h"
#include "ops/gemm/gemv_simd.h"
#include "ops/isa/bf16_kernels_simd.h"
#include "ops/kernels.h"
#include "ops/layernorm_simd.h"
#include "ops/reduce_simd.h"
#include "ops/roof/roof_simd.h"
#include "ops/simd/transpose_simd.h"
#include "ops/softmax_simd.h"
#include "ops/update/adamw_simd.h"
#include "ops/update/sgd_simd.h"
#include "ops/update/sum_of_squares_simd.h"

namespace inkling::simd {

template <class Arch>
constexpr Kernels make_table(Isa isa) {
  using V = Floats<Arch>;
  Kernels k{};
  k.isa = isa;
  k.of_f32 = kernels_of<V, float>();
  k.gemm = gemm_kernels<V>();
  set_bf16_kernels<Arch>(k);
  k.gemv = gemv<V>;
  k.int8_input = int8_floats<V>;
  k.gemv_int8 = gemv_int8<V>;
  k.binary_forward = binary_forward<V>;
  k.binary_backward = binary_backward<V>;
  k.unary_forward = unary_forward<V>;
  k.unary_backward = unary_backward<V>;
  k.sum_row = sum_row<V>;
  k.max_row = max_row<V>;
  k.max_columns = max_columns<V>;
  k.add_scaled = add_scaled<V>;
  k.fma_loop = fma_loop<V>;
  k.triad = triad<V>;
  k.read_all = read_all<V>;
  k.softmax_forward = softmax_forward<V>;
  k.softmax_backward = softmax_backward<V>;
  k.cross_entropy_forward = cross_entropy_forward<V>;
  k.cross_entropy_backward = cross_entropy_backward<V>;
  k.adamw_update = adamw_update<V>;
  k.sgd_update = sgd_update<V>;
  k.sum_of_squares = sum_of_squares<V>;
  k.transpose = transpose<V>;
  k.attention_decode = attention_decode<V>;
  return k;
}

}  // namespace inkling::simd
