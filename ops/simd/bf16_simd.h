// Converts arrays of floats to bf16 and back, builds pairs of bf16, and sets the arithmetic of the
// instructions for bf16. core/bf16.h explains the format and converts single numbers.
#pragma once

#include "ops/simd/lanes_simd.h"

namespace inkling::simd {

#if defined(__AVX512F__)
// Reorders a_0 .. a_15 b_0 .. b_15 to a_0 b_0 a_1 b_1 and so on.
template <class V>
[[gnu::always_inline]] inline __m512i interleaved(__m512i ab) {
  alignas(64) static constexpr std::int16_t kFrom[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                         21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                         11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kFrom), ab);
}
#endif

// While an object of this class lives, denormal inputs and results of float arithmetic count as 0, as in the
// instructions of AVX512-BF16. So products of bf16 on widened floats have the same bits as with these
// instructions. The memory clobbers stop the compiler from moving loads and stores, and so the arithmetic
// between them, out of this scope. (There is one difference on arm64: a result that is rounded up to the
// smallest normal number counts as 0 there, and stays on x86-64.)
template <class V>
class DenormalsAreZero {
 public:
#if defined(__SSE2__)
  [[gnu::always_inline]] DenormalsAreZero() noexcept {
    __asm__ volatile("stmxcsr %0" : "=m"(before_) : : "memory");
    constexpr unsigned kFlushResults = 0x8000, kFlushInputs = 0x0040;
    const unsigned flags = before_ | kFlushResults | kFlushInputs;
    __asm__ volatile("ldmxcsr %0" : : "m"(flags) : "memory");
  }
  [[gnu::always_inline]] ~DenormalsAreZero() {
    __asm__ volatile("ldmxcsr %0" : : "m"(before_) : "memory");
  }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  [[gnu::always_inline]] DenormalsAreZero() noexcept {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_) : : "memory");
    constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;
    __asm__ volatile("msr fpcr, %0" : : "r"(before_ | kFlush) : "memory");
  }
  [[gnu::always_inline]] ~DenormalsAreZero() {
    __asm__ volatile("msr fpcr, %0" : : "r"(before_) : "memory");
  }

 private:
  std::uint64_t before_;
#else
  [[gnu::always_inline]] DenormalsAreZero() noexcept {}
#endif
  DenormalsAreZero(const DenormalsAreZero&) = delete;
  DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
};

// Copies n numbers, y = x, and converts them. Each array is of type float or bf16.
template <class V, class To, class From>
void convert(To* y, const From* x, std::int64_t n) noexcept {
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) { lanes.store(y + i, lanes.load(x + i)); });
}

}  // namespace inkling::simd
