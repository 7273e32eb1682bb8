// The table of kernels with registers of sixteen floats: AVX-512 F, BW, CD, DQ, VL.
#if defined(__x86_64__)
#include "ops/simd/gcc_105593.h"  // must be first

#include "ops/isa/table.h"

namespace inkling {

const Kernels& avx512_kernels() {
  static constexpr Kernels table = simd::make_table<xsimd::avx512bw>(Isa::avx512);
  return table;
}

}  // namespace inkling
#endif
