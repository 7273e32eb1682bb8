// The table of kernels with registers of eight floats: AVX2 with FMA.
#if defined(__x86_64__)
#include "ops/isa/table.h"

namespace inkling {

const Kernels& avx2_kernels() {
  static constexpr Kernels table = simd::make_table<xsimd::fma3<xsimd::avx2>>(Isa::avx2);
  return table;
}

}  // namespace inkling
#endif
