#include "core/cpu.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace inkling {

const char* name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::neon:
      return "neon";
    case Isa::sse2:
      return "sse2";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::amx:
      return "amx";
  }
  return "?";
}

bool fuses_multiply_add(Isa isa) {
  return isa != Isa::scalar && isa != Isa::sse2;
}

namespace {

#if defined(__x86_64__)

struct CpuidResult {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

CpuidResult cpuid(unsigned leaf, unsigned subleaf) {
  CpuidResult r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

bool bit(unsigned word, unsigned index) {
  return ((word >> index) & 1u) != 0;
}

// Reads the CPU register XCR0, which says which registers the operating system saves.
std::uint64_t saved_states() {
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

// Linux lets a process use AMX's 8 KiB of tile registers only after it has asked for permission (arch_prctl
// ARCH_REQ_XCOMP_PERM).
bool request_tile_state() {
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kTileData) == 0;
}

std::string brand() {
  char text[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const CpuidResult r = cpuid(0x80000002u + i, 0);
    const unsigned words[4] = {r.a, r.b, r.c, r.d};
    std::memcpy(text + 16 * i, words, 16);
  }
  return text;
}

CpuFeatures detect() {
  CpuFeatures f;
  f.model = brand();
  const CpuidResult one = cpuid(1, 0), seven = cpuid(7, 0), seven_1 = cpuid(7, 1);
  const bool os_saves_extended = bit(one.c, 27);  // the bit OSXSAVE
  const std::uint64_t saved = os_saves_extended ? saved_states() : 0;
  const bool ymm_saved = (saved & 0x6u) == 0x6u;                 // the registers of SSE and AVX
  const bool zmm_saved = ymm_saved && (saved & 0xe0u) == 0xe0u;  // mask registers, upper halves, zmm16-31
  const bool tiles_saved = (saved & 0x60000u) == 0x60000u;       // AMX: tile configuration, tile data
  f.avx2 = ymm_saved && bit(one.c, 28) && bit(one.c, 12) && bit(seven.b, 5);
  f.avx512 = f.avx2 && zmm_saved && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 28) &&
             bit(seven.b, 30) && bit(seven.b, 31);
  f.avx512_bf16 = f.avx512 && bit(seven_1.a, 5) && bit(seven.c, 11);  // AVX512-BF16 and AVX512-VNNI
  f.amx_bf16 = f.avx512_bf16 && tiles_saved && bit(seven.d, 24) && bit(seven.d, 22) && request_tile_state();
  return f;
}

#else

CpuFeatures detect() {
  CpuFeatures f;
  f.model = "unknown";
  return f;
}

#endif

}  // namespace

const CpuFeatures& cpu() {
  static const CpuFeatures features = detect();
  return features;
}

std::vector<Isa> available_isas() {
#if defined(__aarch64__)
  return {Isa::scalar, Isa::neon};
#else
  std::vector<Isa> isas = {Isa::scalar, Isa::sse2};
  if (cpu().avx2) isas.push_back(Isa::avx2);
  if (cpu().avx512) isas.push_back(Isa::avx512);
  if (cpu().avx512_bf16) isas.push_back(Isa::avx512_bf16);
  if (cpu().amx_bf16) isas.push_back(Isa::amx);
  return isas;
#endif
}

Isa chosen_isa() {
  const std::vector<Isa> isas = available_isas();
  const char* wanted = std::getenv("INKLING_ISA");
  if (wanted == nullptr || *wanted == '\0') return isas.back();
  std::string list;
  for (Isa isa : isas) {
    if (std::strcmp(name(isa), wanted) == 0) return isa;
    list += str(list.empty() ? "" : ", ", name(isa));
  }
  fail("INKLING_ISA=", wanted, ": not available on this CPU, expected one of ", list);
}

}  // namespace inkling
