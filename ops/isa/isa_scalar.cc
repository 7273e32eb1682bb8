// The table of kernels with registers of one float. Every CPU can run them. They also test the kernel
// templates without SIMD.
#include "ops/isa/table.h"

namespace inkling {

const Kernels& scalar_kernels() {
  static constexpr Kernels table = simd::make_table<simd::Scalar>(Isa::scalar);
  return table;
}

}  // namespace inkling
