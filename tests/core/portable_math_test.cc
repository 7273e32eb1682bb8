// exp, log, tanh, cos(pi x) and powers in double, compared with the C library's functions of long double,
// which has at least 11 more bits. And the bits of their results, which must be the same on every machine.
#include "core/portable_math.h"

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();
constexpr int kPoints = 100000;

// The distance between two neighbouring doubles near x.
long double ulp(long double x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  return std::ldexp(1.0L, std::max(exponent - 53, -1074));
}

// The largest error of f, in ulp of the exact result, for random x from `low` to `high`.
template <class F, class Exact>
double largest_error(double low, double high, const F& f, const Exact& exact) {
  Rng rng(3);
  long double worst = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double x = low + (high - low) * rng.uniform();
    const long double want = exact(static_cast<long double>(x));
    const long double error = std::abs(static_cast<long double>(f(x)) - want) / ulp(want);
    if (!(error <= worst)) worst = error;  // NaN, too
  }
  return static_cast<double>(worst);
}

double portable_exp(double x) {
  return portable::exp(x);
}
double portable_log(double x) {
  return portable::log(x);
}
double portable_tanh(double x) {
  return portable::tanh(x);
}

TEST_CASE("portable math: exp is within 0.9 ulp, also where its results are denormal") {
  const auto exact = [](long double x) { return std::exp(x); };
  CHECK(largest_error(-0.4, 0.4, portable_exp, exact) < 0.9);
  CHECK(largest_error(-708, 709.78, portable_exp, exact) < 0.9);
  CHECK(largest_error(-745, -708, portable_exp, exact) < 0.9);
}

TEST_CASE("portable math: exp of special values") {
  CHECK(portable::exp(0.0) == 1);
  CHECK(portable::exp(-0.0) == 1);
  CHECK(portable::exp(1.0) == std::numbers::e);
  CHECK(portable::exp(kSmallest) == 1);
  CHECK(portable::exp(-kInf) == 0);
  CHECK(portable::exp(kInf) == kInf);
  CHECK(std::isnan(portable::exp(kNan)));
  // The largest x with a finite result, and the smallest with a result above 0.
  CHECK(std::isfinite(portable::exp(709.782712893384)));
  CHECK(portable::exp(709.7827128933841) == kInf);
  CHECK(portable::exp(-745.13) == kSmallest);
  CHECK(portable::exp(-745.14) == 0);
  for (const double x : {709.99, 710.0, 1e300}) CHECK(portable::exp(x) == kInf);
  for (const double x : {-745.99, -746.0, -746.01, -1e300}) CHECK(portable::exp(x) == 0);
}

TEST_CASE("portable math: log is within 0.9 ulp, for small and large numbers and around 1") {
  const auto exact = [](long double x) { return std::log(x); };
  CHECK(largest_error(0.7, 1.42, portable_log, exact) < 0.9);
  CHECK(largest_error(0.999, 1.001, portable_log, exact) < 0.9);
  CHECK(largest_error(0, 1, portable_log, exact) < 0.9);
  CHECK(largest_error(1, 1e6, portable_log, exact) < 0.9);
  CHECK(largest_error(0, 1e300, portable_log, exact) < 0.9);
  CHECK(largest_error(0, 4e-308, portable_log, exact) < 0.9);  // half of them are denormal
}

TEST_CASE("portable math: log of special values") {
  CHECK(portable::log(1.0) == 0);
  CHECK(!std::signbit(portable::log(1.0)));
  CHECK(portable::log(0.0) == -kInf);
  CHECK(portable::log(-0.0) == -kInf);
  CHECK(portable::log(kInf) == kInf);
  CHECK(portable::log(kSmallest) == approx(-744.4400719213812).epsilon(1e-15));
  CHECK(portable::log(2.0) == std::numbers::ln2);
  CHECK(portable::log(std::numeric_limits<double>::max()) == approx(709.782712893384).epsilon(1e-15));
  for (const double x : {-kSmallest, -1.0, -kInf, kNan}) CHECK(std::isnan(portable::log(x)));
}

TEST_CASE("portable math: tanh is within 2.6 ulp, also near 0") {
  const auto exact = [](long double x) { return std::tanh(x); };
  for (const double high : {1e-300, 1e-3, 0.2, 1.0, 30.0}) {
    INFO("up to " << high);
    CHECK(largest_error(-high, high, portable_tanh, exact) < 2.6);
  }
}

TEST_CASE("portable math: tanh of special values, and its sign") {
  CHECK(portable::tanh(0.0) == 0);
  CHECK(!std::signbit(portable::tanh(0.0)));
  CHECK(std::signbit(portable::tanh(-0.0)));
  for (const double x : {19.99, 20.0, 1e300, kInf}) {
    CHECK(portable::tanh(x) == 1);
    CHECK(portable::tanh(-x) == -1);
  }
  CHECK(std::isnan(portable::tanh(kNan)));
}

TEST_CASE("portable math: cos(pi x) is within 1.7 ulp, also near its zeros, and exact at multiples of 1/2") {
  // Near a zero, x - 1/2 and x - 3/2 are exact.
  const auto exact = [](long double x) {
    const long double pi = std::numbers::pi_v<long double>;
    if (std::abs(x - 0.5L) < 0.25L) return -std::sin(pi * (x - 0.5L));
    if (std::abs(x - 1.5L) < 0.25L) return std::sin(pi * (x - 1.5L));
    return std::cos(pi * x);
  };
  CHECK(largest_error(0, 2, portable::cos_pi, exact) < 1.7);
  CHECK(largest_error(0.2499, 0.2501, portable::cos_pi, exact) < 1.7);
  CHECK(largest_error(0.4999, 0.5001, portable::cos_pi, exact) < 1.7);
  CHECK(largest_error(1.4999, 1.5001, portable::cos_pi, exact) < 1.7);
  CHECK(portable::cos_pi(0) == 1);
  CHECK(portable::cos_pi(0.5) == 0);
  CHECK(portable::cos_pi(1) == -1);
  CHECK(portable::cos_pi(1.5) == 0);
  CHECK(portable::cos_pi(2) == 1);
  CHECK(portable::cos_pi(0.25) == approx(std::numbers::sqrt2 / 2).epsilon(3e-16));
}

TEST_CASE("portable math: power is within n/2 + 1 ulp of x^n, for the beta^t of AdamW") {
  for (const double beta : {0.9, 0.95, 0.99, 0.999, 0.9999}) {
    for (std::int64_t n = 1; n < 5000; ++n) {
      const long double want = std::pow(static_cast<long double>(beta), static_cast<long double>(n));
      const long double error = std::abs(static_cast<long double>(portable::power(beta, n)) - want);
      REQUIRE(error <= ulp(want) * (static_cast<long double>(n) / 2 + 1));
    }
  }
  CHECK(portable::power(0.9, 0) == 1);
  CHECK(portable::power(0.0, 0) == 1);
  CHECK(portable::power(0.0, 3) == 0);
  CHECK(portable::power(-2.0, 3) == -8);
  CHECK(portable::power(3.0, 33) == 5559060566555523.0);
  CHECK(portable::power(0.999, std::int64_t{1} << 40) == 0);
}

TEST_CASE("portable math: the functions of float round the result of double") {
  for (const float x : {0.1f, 0.7f, 3.0f, 20.5f}) {
    CHECK(portable::exp(x) == static_cast<float>(portable::exp(static_cast<double>(x))));
    CHECK(portable::log(x) == static_cast<float>(portable::log(static_cast<double>(x))));
    CHECK(portable::tanh(x) == static_cast<float>(portable::tanh(static_cast<double>(x))));
  }
}

// A hash of the results of f for 100,000 numbers from `low` to `high`.
template <class F>
std::string bits_of(double low, double high, const F& f) {
  Rng rng(4);
  std::vector<double> results;
  for (int i = 0; i < kPoints; ++i) results.push_back(f(low + (high - low) * rng.uniform()));
  return str(XXH3_64bits(results.data(), results.size() * sizeof(double)));
}

TEST_CASE("portable math: every bit of 100,000 results is the recorded one, on every machine") {
  CHECK(bits_of(-750, 720, portable_exp) == "2370303105950271970");
  CHECK(bits_of(0, 10, portable_log) == "2046474755353762032");
  CHECK(bits_of(-3, 3, portable_tanh) == "15603777053085273156");
  CHECK(bits_of(0, 2, portable::cos_pi) == "12944853600352141075");
  CHECK(bits_of(0.9, 1, [](double x) { return portable::power(x, 1000); }) == "10398846764244136158");
}

TEST_CASE("rng: every bit of 100,000 normal numbers is the recorded one, on every machine") {
  Rng rng(1);
  CHECK(bits_of(0, 1, [&](double) { return rng.normal(); }) == "9693217268154258061");
}

}  // namespace
}  // namespace inkling
