// f16: every one of the 65,536 numbers against its definition.
#include "apps/interop/half.h"

#include <cmath>

#include "tests/support.h"

namespace inkling {
namespace {

TEST_CASE("f16: each number is sign, 5 bits of exponent and 10 bits of mantissa") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float got = to_float(f16{static_cast<std::uint16_t>(bits)});
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    INFO(bits);
    REQUIRE(std::signbit(got) == (bits >= 0x8000));
    if (exponent == 31 && mantissa != 0) {
      REQUIRE(std::isnan(got));
      continue;
    }
    double want = INFINITY;
    if (exponent == 0) want = std::ldexp(mantissa, -24);
    if (exponent > 0 && exponent < 31) want = std::ldexp(1024 + mantissa, exponent - 25);
    REQUIRE(static_cast<double>(std::abs(got)) == want);
  }
}

}  // namespace
}  // namespace inkling
