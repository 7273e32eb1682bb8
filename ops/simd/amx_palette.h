// The shapes of AMX's eight tiles, as ldtilecfg reads them (Intel SDM, LDTILECFG).
#pragma once

#include <cstdint>

namespace inkling::simd {

struct alignas(64) TilePalette {  // the operand of ldtilecfg
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace inkling::simd
