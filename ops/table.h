// Builds one table of kernels from the templates. Only ops/isa_*.cc include this.
#pragma once

#include "ops/kernels.h"
#include "ops/layernorm_simd.h"
#include "ops/math_simd.h"

namespace inkling::simd {

template <class Arch>
constexpr Kernels make_table(Isa isa) {
  using V = Floats<Arch>;
  Kernels k{};
  k.isa = isa;
  k.layernorm_forward = layernorm_forward<V>;
  k.layernorm_backward = layernorm_backward<V>;
  k.exp = exp_array<V>;
  k.log = log_array<V>;
  k.tanh = tanh_array<V>;
  return k;
}

}  // namespace inkling::simd
