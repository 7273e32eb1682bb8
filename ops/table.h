// Builds one table of kernels from the templates. Only ops/isa_*.cc include this.
#pragma once

#include "ops/attention_backward_simd.h"
#include "ops/attention_decode_simd.h"
#include "ops/attention_forward_simd.h"
#include "ops/kernels.h"
#include "ops/layernorm_simd.h"

namespace inkling::simd {

template <class Arch>
constexpr Kernels make_table(Isa isa) {
  using V = Floats<Arch>;
  Kernels k{};
  k.isa = isa;
  k.layernorm_forward = layernorm_forward<V>;
  k.layernorm_backward = layernorm_backward<V>;
  k.attention_forward = attention_forward<V>;
  k.attention_backward = attention_backward<V>;
  k.attention_decode = attention_decode<V>;
  return k;
}

}  // namespace inkling::simd
