// The table of kernels with registers of sixteen floats: AVX-512 F, BW, CD, DQ, VL.
#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 warns about _mm512_undefined_ps() in its own header avx512fintrin.h (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "ops/isa/table.h"

namespace inkling {

const Kernels& avx512_kernels() {
  static constexpr Kernels table = simd::make_table<xsimd::avx512bw>(Isa::avx512);
  return table;
}

}  // namespace inkling
#endif
