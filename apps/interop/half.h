// f16: the float of 16 bits of IEEE 754, with 5 bits of exponent and 10 bits of mantissa. Other programs
// store weights in it. inkling only reads it: every f16 is exactly a float32.
#pragma once

#include <bit>
#include <cstdint>

namespace inkling {

struct f16 {
  std::uint16_t bits = 0;
};

inline float to_float(f16 x) {
  const std::uint32_t sign = (x.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (x.bits >> 10) & 31u;
  const std::uint32_t mantissa = x.bits & 0x3ffu;
  if (exponent == 0) {  // zero, or a subnormal number: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);  // infinite or NaN
  constexpr std::uint32_t kBias = 127 - 15;  // float32 adds 127 to an exponent, f16 adds 15
  return std::bit_cast<float>(sign | (exponent + kBias) << 23 | mantissa << 13);
}

}  // namespace inkling
