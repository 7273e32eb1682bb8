// The table of kernels with registers of four floats: SSE2, which every x86-64 CPU has.
#if defined(__x86_64__)
#include "ops/isa/table.h"

namespace inkling {

const Kernels& sse2_kernels() {
  static constexpr Kernels table = simd::make_table<xsimd::sse2>(Isa::sse2);
  return table;
}

}  // namespace inkling
#endif
