// The table of kernels with registers of four floats: SSE2, which every x86-64 CPU has, or NEON on ARM.
#include "ops/isa/table.h"

namespace inkling {

#if defined(__aarch64__)
using FourFloats = xsimd::neon64;
#else
using FourFloats = xsimd::sse2;
#endif

const Kernels& sse2_kernels() {
  static constexpr Kernels table = simd::make_table<FourFloats>(Isa::sse2);
  return table;
}

}  // namespace inkling
