// Builds one table of kernels from the templates. Only ops/isa_*.cc include this.
#pragma once

#include "ops/gemm_simd.h"
#include "ops/gemv_simd.h"
#include "ops/kernels.h"
#include "ops/layernorm_simd.h"
#include "ops/linear_simd.h"

namespace inkling::simd {

template <class Arch>
constexpr Kernels make_table(Isa isa) {
  using V = Floats<Arch>;
  Kernels k{};
  k.isa = isa;
  k.gemm = gemm_kernels<V>();
  k.gemv = gemv<V>;
  k.column_sums = column_sums<V>;
  k.layernorm_forward = layernorm_forward<V>;
  k.layernorm_backward = layernorm_backward<V>;
  return k;
}

}  // namespace inkling::simd
