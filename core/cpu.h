// What this CPU and operating system can execute.
//
// An instruction set counts only if the CPU reports it (CPUID) and the operating system saves its registers
// on a context switch (XGETBV: XCR0; for AMX Linux wants to be asked as well). Intel SDM vol. 1, 13.2
// and 14.3.
#pragma once

#include <string>
#include <vector>

namespace inkling {

// From the plainest up; each includes the ones before it. sse2 stands for NEON on ARM. The last two differ
// from avx512 only in how they compute with bf16 and multiply by 8-bit weights.
enum class Isa { scalar, sse2, avx2, avx512, avx512_bf16, amx };

const char* name(Isa isa);

struct CpuFeatures {
  bool avx2 = false;         // AVX2 and FMA, registers saved by the OS
  bool avx512 = false;       // F, BW, CD, DQ, VL, registers saved by the OS
  bool avx512_bf16 = false;  // and VNNI, which every such CPU has
  bool amx_bf16 = false;     // tiles and bf16 products, tile state granted by the OS
  std::string model;         // the CPU's name for itself
};

const CpuFeatures& cpu();

// Every instruction set this machine can run, plainest first.
std::vector<Isa> available_isas();

// The best of them, or the one INKLING_ISA=scalar|sse2|avx2|avx512|avx512_bf16|amx names. Error when that is
// unknown or not available here.
Isa chosen_isa();

}  // namespace inkling
