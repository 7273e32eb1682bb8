#include "ops/kernels.h"

namespace inkling {

const Kernels& scalar_kernels();
const Kernels& neon_kernels();
const Kernels& sse2_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
const Kernels& avx512_bf16_kernels();
const Kernels& amx_kernels();

namespace {

const Kernels*& current() {
  static const Kernels* table = &kernels(chosen_isa());
  return table;
}

}  // namespace

const Kernels& kernels() {
  return *current();
}

const Kernels& kernels(Isa isa) {
  switch (isa) {
#if defined(__aarch64__)
    case Isa::neon:
      return neon_kernels();
#else
    case Isa::sse2:
      return sse2_kernels();
    case Isa::avx2:
      return avx2_kernels();
    case Isa::avx512:
      return avx512_kernels();
    case Isa::avx512_bf16:
      return avx512_bf16_kernels();
    case Isa::amx:
      return amx_kernels();
#endif
    default:
      break;
  }
  return scalar_kernels();
}

void use_table(const Kernels& table) {
  current() = &table;
}

}  // namespace inkling
