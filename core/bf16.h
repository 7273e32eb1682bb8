// bf16: a float of 16 bits, the upper half of a float32. It has 8 bits of exponent and 7 bits of mantissa.
//
// This file only stores and converts bf16; all arithmetic is done in float. Conversion rounds to nearest,
// ties to even. A NaN remains a NaN.
#pragma once

#include <bit>
#include <cstdint>

namespace inkling {

struct bf16 {
  std::uint16_t bits = 0;
};

inline float to_float(bf16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

inline bf16 to_bf16(float x) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};  // a quiet NaN
  const std::uint32_t ties_to_even = 0x7fffu + ((u >> 16) & 1u);
  return {static_cast<std::uint16_t>((u + ties_to_even) >> 16)};
}

}  // namespace inkling
