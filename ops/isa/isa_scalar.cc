// The kernels with registers of one float. Every CPU can run them, and they check the templates themselves.
#include "ops/isa/table.h"

namespace inkling {

const Kernels& scalar_kernels() {
  static constexpr Kernels table = simd::make_table<simd::Scalar>(Isa::scalar);
  return table;
}

}  // namespace inkling
