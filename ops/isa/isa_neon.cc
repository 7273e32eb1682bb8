// The table of kernels for arm64: NEON, which every such CPU has, with registers of four floats and a fused
// multiply-add.
#if defined(__aarch64__)
#include "ops/isa/table.h"

namespace inkling {

const Kernels& neon_kernels() {
  static constexpr Kernels table = simd::make_table<xsimd::neon64>(Isa::neon);
  return table;
}

}  // namespace inkling
#endif
