// Detects the instruction sets that this CPU and operating system support.
//
// An instruction set is available only if the CPU reports it (CPUID) and the operating system saves its
// registers on a context switch (XGETBV: XCR0). For AMX, the process must also ask Linux for permission. See
// Intel SDM vol. 1, 13.2 and 14.3.
#pragma once

#include <string>
#include <vector>

namespace inkling {

// The instruction sets. Every CPU can run scalar, and every arm64 CPU can run neon. sse2 to amx are
// instruction sets of x86-64, from the simplest to the most powerful: a CPU that can run one of them can also
// run all of them that stand before it in this list. avx512_bf16 and amx differ from avx512 only in products
// of bf16 and in products with 8-bit weights.
enum class Isa { scalar, neon, sse2, avx2, avx512, avx512_bf16, amx };

const char* name(Isa isa);

// True if the kernels of this instruction set use a fused multiply-add, which rounds once and not twice. In
// f32, all sets for which this is true give the same bytes, and so do all others (ops/README.md).
bool fuses_multiply_add(Isa isa);

struct CpuFeatures {
  bool avx2 = false;         // AVX2 and FMA; the OS saves their registers
  bool avx512 = false;       // AVX-512 F, BW, CD, DQ, VL; the OS saves their registers
  bool avx512_bf16 = false;  // AVX512-BF16 and AVX512-VNNI; every CPU that has AVX512-BF16 has both
  bool amx_bf16 = false;     // AMX tiles and bf16 products; the OS has given permission
  std::string model;         // the name that the CPU reports
};

const CpuFeatures& cpu();

// Returns all instruction sets that this machine can run, the simplest first.
std::vector<Isa> available_isas();

// Returns the most powerful available instruction set, or the set that the environment variable INKLING_ISA
// names (scalar, neon, sse2, avx2, avx512, avx512_bf16 or amx). Error if this name is unknown or not
// available.
Isa chosen_isa();

}  // namespace inkling
