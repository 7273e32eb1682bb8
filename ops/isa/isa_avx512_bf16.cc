// The table of kernels for CPUs with AVX512-BF16. It is the table of avx512, with products of bf16 by
// AVX512-BF16 and products of 8-bit numbers by AVX512-VNNI. Every CPU with AVX512-BF16 has AVX512-VNNI too.
#if defined(__x86_64__)
#include "ops/simd/gcc_105593.h"  // must be first

#include "ops/gemm/gemm_bf16_dot_simd.h"
#include "ops/gemm/gemv_int8_dot_simd.h"
#include "ops/isa/bf16_kernels_simd.h"
#include "ops/roof/roof_bf16_simd.h"

namespace inkling {

const Kernels& avx512_kernels();

const Kernels& avx512_bf16_kernels() {
  static const Kernels table = [] {
    Kernels k = avx512_kernels();
    k.isa = Isa::avx512_bf16;
    simd::set_bf16_kernels<simd::Avx512Bf16>(k);
    k.int8_input = simd::int8_digits<simd::Avx512Bf16>;
    k.gemv_int8 = simd::gemv_int8_dot<simd::Avx512Bf16>;
    k.bf16_gemm.multiply = simd::multiply_dot<simd::Avx512Bf16>;
    k.bf16_gemm.multiply_few = simd::multiply_few_dot<simd::Avx512Bf16>;
    k.bf16_dot_loop = simd::bf16_dot_loop<Isa::avx512_bf16>;
    return k;
  }();
  return table;
}

}  // namespace inkling
#endif
