// The table of kernels for CPUs with AMX. It is the table of avx512, with products of bf16 by AMX and
// products of 8-bit numbers by AVX512-VNNI. tests/emulated_amx_kernels.cc compiles this file a second time,
// with emulated tiles (ops/simd/amx_emulation.h).
#if defined(__x86_64__)
#include "ops/simd/gcc_105593.h"  // must be first

#include "ops/attention/attention_backward_amx_simd.h"
#include "ops/attention/attention_forward_amx_simd.h"
#include "ops/gemm/gemm_bf16_amx_simd.h"
#include "ops/gemm/gemv_int8_dot_simd.h"
#include "ops/isa/bf16_kernels_simd.h"
#include "ops/roof/roof_bf16_simd.h"

namespace inkling {

const Kernels& avx512_kernels();

#if defined(INKLING_EMULATE_AMX)
using Arch = simd::EmulatedAmx;
const Kernels& emulated_amx_kernels() {
#else
using Arch = simd::Amx;
const Kernels& amx_kernels() {
#endif
  static const Kernels table = [] {
    Kernels k = avx512_kernels();
    k.isa = Isa::amx;
    simd::set_bf16_kernels<Arch>(k);
    k.int8_input = simd::int8_digits<Arch>;
    k.gemv_int8 = simd::gemv_int8_dot<Arch>;
    k.bf16_gemm.multiply = simd::multiply_amx<Arch>;
    k.bf16_gemm.multiply_few = simd::multiply_few_amx<Arch>;
    k.bf16_dot_loop = simd::amx_dot_loop<Arch>;
    k.of_bf16.attention_forward = simd::attention_forward_amx<simd::Floats<Arch>>;
    k.of_bf16.attention_backward = simd::attention_backward_amx<simd::Floats<Arch>>;
    return k;
  }();
  return table;
}

}  // namespace inkling
#endif
