// Conversion of arrays from float to bf16. The kernels give the same bits as the functions for one
// number in core/bf16.h.
#include <bit>
#include <cmath>
#include <limits>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("bf16: every instruction set narrows to the same bits at every width and alignment") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      INFO("n = " << n);
      const std::vector<float> x = random_floats(n, 1);
      Guarded wide(x, n % 5);
      GuardedBf16 narrow(n, n % 7);
      kernels().narrow(narrow.data(), wide.data(), n);
      const std::vector<bf16> want = to_bf16(x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK(narrow.data()[i].bits == want[i].bits);
      }
      narrow.check();
    }
  });
}

TEST_CASE("bf16: ties are rounded to even, infinities stay, and the largest float becomes infinity") {
  const float tiny = std::numeric_limits<float>::denorm_min(), huge = std::numeric_limits<float>::max();
  const std::vector<float> x{0.0f,
                             -0.0f,
                             1.0f + 1.0f / 256,
                             1.0f + 3.0f / 256,
                             1e-40f,
                             -1e-40f,
                             std::numeric_limits<float>::min(),
                             std::nextafter(std::numeric_limits<float>::min(), 0.0f),
                             tiny,
                             huge,
                             -huge,
                             1e38f,
                             INFINITY,
                             -INFINITY,
                             NAN,
                             -NAN,
                             std::bit_cast<float>(0x7f800001u),
                             std::bit_cast<float>(0xffffffffu),
                             1.00390637f,
                             1.0f};
  const auto n = std::ssize(x);
  for_each_isa([&] {
    std::vector<bf16> got(x.size());
    kernels().narrow(got.data(), x.data(), n);
    std::vector<bf16> want = to_bf16(x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      INFO("x = " << x[i]);
      // the kernels turn denormals into zeros
      if (std::fpclassify(x[i]) == FP_SUBNORMAL) want[i].bits &= 0x8000;
      CHECK(got[i].bits == want[i].bits);
    }
    CHECK(to_float(got[2]) == 1.0f);
    CHECK(to_float(got[3]) == 1.0f + 4.0f / 256);
  });
}

}  // namespace
}  // namespace inkling
