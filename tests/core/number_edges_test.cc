// Edge cases of random numbers and bf16: the smallest and the largest random number, rejected numbers,
// separate streams, and rounding compared with arithmetic in double.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "core/bf16.h"
#include "core/rng.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A generator whose next() returns `value`. The output of xoshiro256** is rotl(5 s, 7) * 9; this computes s
// from the output.
Rng rng_whose_next_is(std::uint64_t value) {
  constexpr std::uint64_t kInverse5 = 0xcccccccccccccccd, kInverse9 = 0x8e38e38e38e38e39;
  static_assert(kInverse5 * 5 == 1 && kInverse9 * 9 == 1);
  Rng rng(0);
  rng.set_state({1, std::rotr(value * kInverse9, 7) * kInverse5, 3, 4});
  return rng;
}

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("rng: uniform is the upper 53 bits times 2^-53, from 0 to just below 1") {
  CHECK(rng_whose_next_is(0).uniform() == 0);
  CHECK(rng_whose_next_is(0x7ff).uniform() == 0);
  CHECK(rng_whose_next_is(0x800).uniform() == 0x1p-53);
  CHECK(rng_whose_next_is(std::uint64_t{1} << 63).uniform() == 0.5);
  CHECK(rng_whose_next_is(kMost).uniform() == 1 - 0x1p-53);
}

TEST_CASE("rng: below(n) rejects the numbers under 2^64 mod n, and no others") {
  const auto check = [](std::uint64_t n, std::uint64_t remainder, std::uint64_t value) {
    INFO(value << " below " << n);
    Rng rng = rng_whose_next_is(value), numbers = rng;
    std::uint64_t want = numbers.next();
    while (want < remainder) want = numbers.next();
    CHECK(rng.below(n) == want % n);
    CHECK(rng.state() == numbers.state());
  };
  const std::uint64_t half = std::uint64_t{1} << 63;
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, kMost}) {
    check(3, 1, value);
    check(half, 0, value);
    check(1, 0, value);
  }
  for (const std::uint64_t value : {half - 2, half - 1, half, half + 1}) check(half + 1, half - 1, value);
}

TEST_CASE("rng: normal is the Box-Muller formula on the next two uniforms, and always finite") {
  Rng rng(5), uniforms(5);
  for (int i = 0; i < 100; ++i) {
    const double u = uniforms.uniform(), v = uniforms.uniform();
    CHECK(rng.normal() ==
          approx(std::sqrt(-2 * std::log(1 - u)) * std::cos(2 * std::numbers::pi * v)).epsilon(1e-12));
  }
  CHECK(rng_whose_next_is(0).normal() == 0);  // the radius is 0
  const double farthest = std::abs(rng_whose_next_is(kMost).normal());
  CHECK(farthest <= std::sqrt(2 * 53 * std::numbers::ln2));
}

TEST_CASE("rng: streams of one seed and of neighbouring seeds share no number and do not correlate") {
  constexpr int kNumbers = 2000;
  std::vector<Rng> rngs;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (std::uint64_t stream = 0; stream < 8; ++stream) rngs.emplace_back(seed, stream);
  }
  std::set<std::uint64_t> seen;
  std::vector<std::vector<double>> uniforms(rngs.size());
  for (std::size_t r = 0; r < rngs.size(); ++r) {
    for (int i = 0; i < kNumbers; ++i) {
      const std::uint64_t x = rngs[r].next();
      seen.insert(x);
      uniforms[r].push_back(static_cast<double>(x) * 0x1p-64 - 0.5);
    }
  }
  CHECK(seen.size() == rngs.size() * kNumbers);
  double worst = 0;
  for (std::size_t a = 0; a < rngs.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) worst = std::max(worst, std::abs(dot(uniforms[a], uniforms[b])));
  }
  // A sum of kNumbers products of two uniform numbers, each of variance 1/12. There are 496 pairs of streams,
  // so the limit is six standard deviations.
  CHECK(worst < 6 * std::sqrt(kNumbers / 144.0));
}

// Takes the two bf16 numbers around |x| and returns the nearer one, with the sign of x. On a tie it is the
// one whose last bit is 0.
std::uint16_t nearest_bf16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), sign = bits & 0x80000000u;
  const std::uint32_t low = (bits & 0x7fffffffu) >> 16;
  const auto value = [](std::uint32_t upper) {
    // The number after the largest finite one counts as 2^128, the next number if there were one more
    // exponent.
    return upper == 0x7f80u ? 0x1p128 : static_cast<double>(std::bit_cast<float>(upper << 16));
  };
  const double at = std::abs(static_cast<double>(x)), below = at - value(low), above = value(low + 1) - at;
  const bool up = above < below || (above == below && low % 2 == 1);
  return static_cast<std::uint16_t>((sign >> 16) | (up ? low + 1 : low));
}

TEST_CASE("bf16: a float is rounded to the nearest bf16, a tie to the even one, as computed in double") {
  std::int64_t wrong = 0, compared = 0;
  const auto compare = [&](std::uint32_t bits) {
    const float x = std::bit_cast<float>(bits);
    if (!std::isfinite(x)) return;
    ++compared;
    if (to_bf16(x).bits == nearest_bf16(x)) return;
    if (++wrong < 5)
      FAIL_CHECK("bits " << bits << " become " << to_bf16(x).bits << ", expected " << nearest_bf16(x));
  };
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 40009)
    compare(static_cast<std::uint32_t>(bits));
  for (std::uint32_t upper = 0; upper < 65536; ++upper) {  // the ties and the numbers next to them
    for (const std::uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      compare(upper << 16 | lower);
  }
  CHECK(compared > 450000);
  CHECK(wrong == 0);
}

TEST_CASE("bf16: infinities stay, and a NaN with any payload stays a NaN and keeps its sign") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(to_float(to_bf16(inf)) == inf);
  CHECK(to_float(to_bf16(-inf)) == -inf);
  for (const std::uint32_t bits :
       {0x7f800001u, 0x7fffffffu, 0x7fc00000u, 0x7f80ffffu, 0xff800001u, 0xffffffffu, 0xffc00000u}) {
    const float back = to_float(to_bf16(std::bit_cast<float>(bits)));
    CHECK(std::isnan(back));
    CHECK(std::signbit(back) == (bits >> 31 == 1));
  }
  CHECK(std::signbit(to_float(to_bf16(-0.0f))));
}

}  // namespace
}  // namespace inkling
