// Builds one table of kernels from the templates. Only ops/isa_*.cc include this.
#pragma once

#include "ops/adamw_simd.h"
#include "ops/cross_entropy_simd.h"
#include "ops/gelu_simd.h"
#include "ops/kernels.h"
#include "ops/layernorm_simd.h"
#include "ops/math_simd.h"
#include "ops/sgd_simd.h"
#include "ops/softmax_simd.h"
#include "ops/sum_of_squares_simd.h"

namespace inkling::simd {

template <class Arch>
constexpr Kernels make_table(Isa isa) {
  using V = Floats<Arch>;
  Kernels k{};
  k.isa = isa;
  k.layernorm_forward = layernorm_forward<V>;
  k.layernorm_backward = layernorm_backward<V>;
  k.gelu_forward = gelu_forward<V>;
  k.gelu_backward = gelu_backward<V>;
  k.softmax_forward = softmax_forward<V>;
  k.softmax_backward = softmax_backward<V>;
  k.cross_entropy_forward = cross_entropy_forward<V>;
  k.cross_entropy_backward = cross_entropy_backward<V>;
  k.cross_entropy_in_place = cross_entropy_in_place<V>;
  k.adamw_update = adamw_update<V>;
  k.sgd_update = sgd_update<V>;
  k.sum_of_squares = sum_of_squares<V>;
  k.exp = exp_array<V>;
  k.log = log_array<V>;
  k.tanh = tanh_array<V>;
  return k;
}

}  // namespace inkling::simd
