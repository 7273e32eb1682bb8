// The kernels of avx512, and products of bf16 on AMX's tiles.
#if defined(__x86_64__)
#include "ops/kernels.h"
#include "ops/roof_bf16_simd.h"

namespace inkling {

const Kernels& avx512_kernels();

const Kernels& amx_kernels() {
  static const Kernels table = [] {
    Kernels k = avx512_kernels();
    k.isa = Isa::amx;
    k.bf16_dot_loop = simd::amx_dot_loop<Isa::amx>;
    return k;
  }();
  return table;
}

}  // namespace inkling
#endif
