// Fills in the kernels of a table that work on bf16. ops/isa/table.h calls set_bf16_kernels() for every
// table. The tables for CPUs with instructions for bf16 then replace some of these kernels. Only
// ops/isa/isa_*.cc include this file.
#pragma once

#include "ops/attention/attention_backward_simd.h"
#include "ops/attention/attention_forward_simd.h"
#include "ops/cross_entropy_simd.h"
#include "ops/gelu_simd.h"
#include "ops/gemm/gemm_bf16_few_simd.h"
#include "ops/kernels.h"
#include "ops/layernorm_simd.h"
#include "ops/reduce_simd.h"
#include "ops/simd/bf16_simd.h"

namespace inkling::simd {

template <class Arch>
constexpr void set_bf16_kernels(Kernels& k) {
  using V = Floats<Arch>;
  k.bf16_gemm = bf16_gemm_kernels<V>();
  k.sum_columns_bf16 = sum_columns<V, bf16>;
  k.layernorm_forward_bf16 = layernorm_forward<V, bf16>;
  k.layernorm_backward_bf16 = layernorm_backward<V, bf16>;
  k.gelu_forward_bf16 = gelu_forward<V, bf16>;
  k.gelu_backward_bf16 = gelu_backward<V, bf16>;
  k.cross_entropy_in_place_bf16 = cross_entropy_in_place<V, bf16>;
  k.widen = convert<V, float, bf16>;
  k.narrow = convert<V, bf16, float>;
  k.attention_forward_bf16 = attention_forward<V, bf16>;
  k.attention_backward_bf16 = attention_backward<V, bf16>;
}

}  // namespace inkling::simd
