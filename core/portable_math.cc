#include "core/portable_math.h"

#include <bit>
#include <cassert>
#include <limits>

namespace inkling::portable {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ln 2 = kLn2High + kLn2Low. kLn2High has 42 bits, so its product with an integer below 2^11 is exact.
constexpr double kLn2High = 0x1.62e42fefa38p-1;
constexpr double kLn2Low = 0x1.ef35793c7673p-45;
constexpr double kOneOverLn2 = 0x1.71547652b82fep+0;

// Returns c[0] + c[1] x + c[2] x^2 + ... by Horner's rule.
template <int N>
double polynomial(const double (&c)[N], double x) {
  double sum = c[N - 1];
  for (int i = N - 2; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

// Returns 2^n, for n from -1022 to 1023.
double power_of_two(std::int64_t n) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

// e^x = 2^n (1 + q) with n = round(x / ln 2).
//
// r = x - n ln 2 is at most ln(2)/2 = 0.3466. ln 2 is subtracted in two parts (Cody & Waite, "Software manual
// for the elementary functions", 1980): the subtraction of the first part is exact. `lost` is what the second
// subtraction rounds away. q = e^r - 1 is Taylor's series up to r^13 / 13!; the rest is less than 0.06 ulp.
struct ReducedExp {
  std::int64_t n;
  double q;
};

ReducedExp reduce_exp(double x) {
  static constexpr double kTaylor[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                       1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                       1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  const double quotient = x * kOneOverLn2;
  const auto n = static_cast<std::int64_t>(quotient < 0 ? quotient - 0.5 : quotient + 0.5);
  const double high = x - static_cast<double>(n) * kLn2High, low = static_cast<double>(n) * kLn2Low;
  const double r = high - low;
  const double lost = (high - r) - low;
  return {n, r + (r * r * polynomial(kTaylor, r) + lost * (1 + r))};
}

}  // namespace

double exp(double x) {
  if (!(x < 710)) return x != x ? x : kInf;
  if (x < -746) return 0;
  const auto [n, q] = reduce_exp(x);
  // 2^n in two factors, because n can be from -1076 to 1024. Only the second product can round (to a
  // denormal).
  const std::int64_t half = n / 2;
  return (1 + q) * power_of_two(half) * power_of_two(n - half);
}

// x = 2^e (1 + f) with 1 + f from sqrt(1/2) to sqrt(2), so log x = e ln 2 + log(1 + f).
//
// With s = f / (2 + f), 1 + f = (1 + s) / (1 - s), so log(1 + f) = 2 atanh(s) = 2 s + s R with
// R = 2 s^2/3 + 2 s^4/5 + ... + 2 s^20/21; the rest is less than 0.01 ulp. 2 s is not exact, but f is, and 2
// s = f - f^2/2 + s f^2/2. So log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), where everything after f is small.
double log(double x) {
  static constexpr double kTwoOverOdd[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                           2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
  if (x != x || x == kInf) return x;
  if (x <= 0) return x == 0 ? -kInf : kNan;
  const bool denormal = x < std::numeric_limits<double>::min();
  // After the bits of sqrt(1/2) are subtracted, the exponent field changes at sqrt(2) times a power of two.
  constexpr auto kRootHalf = std::bit_cast<std::int64_t>(0x1.6a09e667f3bcdp-1);
  const std::int64_t from_root_half = std::bit_cast<std::int64_t>(denormal ? x * 0x1p54 : x) - kRootHalf;
  const double f = std::bit_cast<double>((from_root_half & 0xfffffffffffff) + kRootHalf) - 1;
  const auto e = static_cast<double>((from_root_half >> 52) - (denormal ? 54 : 0));
  const double s = f / (2 + f), s2 = s * s;
  const double half_square = 0.5 * f * f;
  const double R = s2 * polynomial(kTwoOverOdd, s2);
  return e * kLn2High + (f - (half_square - (s * (half_square + R) + e * kLn2Low)));
}

// tanh x = E / (E + 2), E = e^(2x) - 1. E = 2^n (1 + q) - 1 = 2^n q + (2^n - 1), so no digits are lost: for
// small x, n = 0 and E = q.
double tanh(double x) {
  if (x != x || x == 0) return x;
  const double size = x < 0 ? -x : x;
  const auto [n, q] = reduce_exp(size < 20 ? 2 * size : 40.0);  // tanh(19.1) rounds to 1
  const double E = power_of_two(n) * q + (power_of_two(n) - 1);
  const double y = E / (E + 2);
  return x < 0 ? -y : y;
}

// cos(pi x) is symmetric about 1 and antisymmetric about 1/2, so x can be brought to [0, 1/2] without
// rounding. From 0 to 1/4, it is Taylor's series of the cosine. From 1/4 to 1/2 it is sin(pi z), z = 1/2 - x,
// by the series of the sine, with pi in two parts. The rest of either is less than 0.03 ulp. The coefficients
// are
// (-1)^k pi^n / n!.
double cos_pi(double x) {
  static constexpr double kCosine[] = {-4.934802200544679,     4.0587121264167685,   -1.3352627688545895,
                                       0.2353306303588932,     -0.02580689139001406, 0.0019295743094039231,
                                       -0.0001046381049248457, 4.303069587032947e-06};
  static constexpr double kSine[] = {-5.16771278004997,       2.5501640398773455,     -0.5992645293207921,
                                     0.08214588661112823,     -0.0073704309457143504, 0.00046630280576761255,
                                     -2.1915353447830217e-05, 7.952054001475513e-07};
  constexpr double kPiHigh = 3.141592653589793, kPiLow = 1.2246467991473532e-16;
  assert(x >= 0 && x <= 2);
  const double from_zero = x > 1 ? 2 - x : x;
  const double y = from_zero > 0.5 ? 1 - from_zero : from_zero;
  const double z = y > 0.25 ? 0.5 - y : y, z2 = z * z;
  const double cosine =
      y > 0.25 ? z * kPiHigh + z * (kPiLow + z2 * polynomial(kSine, z2)) : 1 + z2 * polynomial(kCosine, z2);
  return from_zero > 0.5 ? -cosine : cosine;
}

double power(double x, std::int64_t n) {
  assert(n >= 0);
  double y = 1;
  for (; n > 0; n /= 2, x *= x) {
    if (n % 2 == 1) y *= x;
  }
  return y;
}

}  // namespace inkling::portable
