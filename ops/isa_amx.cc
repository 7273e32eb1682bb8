// The kernels of avx512, products of bf16 on AMX's tiles, and of 8 bits by AVX512-VNNI.
#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 warns of its own _mm512_undefined_ps() in avx512fintrin.h (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "ops/attention_backward_amx_simd.h"
#include "ops/attention_forward_amx_simd.h"
#include "ops/bf16_kernels_simd.h"
#include "ops/gemm_bf16_amx_simd.h"
#include "ops/gemv_int8_dot_simd.h"
#include "ops/roof_bf16_simd.h"

namespace inkling {

const Kernels& avx512_kernels();

const Kernels& amx_kernels() {
  static const Kernels table = [] {
    Kernels k = avx512_kernels();
    k.isa = Isa::amx;
    simd::set_bf16_kernels<simd::Amx>(k);
    k.int8_input = simd::int8_digits<simd::Amx>;
    k.gemv_int8 = simd::gemv_int8_dot<simd::Amx>;
    k.bf16_gemm.multiply = simd::multiply_amx<simd::Amx>;
    k.bf16_gemm.multiply_few = simd::multiply_few_amx<simd::Amx>;
    k.bf16_dot_loop = simd::amx_dot_loop<Isa::amx>;
    k.attention_forward_bf16 = simd::attention_forward_amx<simd::Floats<simd::Amx>>;
    k.attention_backward_bf16 = simd::attention_backward_amx<simd::Floats<simd::Amx>>;
    return k;
  }();
  return table;
}

}  // namespace inkling
#endif
