// The kernels that exist for arrays of float and of bf16 (kernels_of), and all kernels of a table that work
// on bf16. ops/isa/table.h uses them for every table; CPUs with instructions for bf16 then get other kernels
// for some of them. Only ops/isa/isa_*.cc include this.
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

template <class V, class T>
constexpr KernelsOf<T> kernels_of() {
  return {.pack = pack_tiles<V, T>,
          .finish = finish_sums<V, T>,
          .sum_columns = sum_columns<V, T>,
          .layernorm_forward = layernorm_forward<V, T>,
          .layernorm_backward = layernorm_backward<V, T>,
          .gelu_forward = gelu_forward<V, T>,
          .gelu_backward = gelu_backward<V, T>,
          .cross_entropy_in_place = cross_entropy_in_place<V, T>,
          .attention_forward = attention_forward<V, T>,
          .attention_backward = attention_backward<V, T>};
}

template <class Arch>
constexpr void set_bf16_kernels(Kernels& k) {
  using V = Floats<Arch>;
  k.of_bf16 = kernels_of<V, bf16>();
  k.of_f32.pack = pack_tiles<V, float>;  // this one rounds to bf16
  k.bf16_gemm = {multiply_widened<V>, multiply_few_widened<V>};
  k.narrow = convert<V, bf16, float>;
}

}  // namespace inkling::simd
