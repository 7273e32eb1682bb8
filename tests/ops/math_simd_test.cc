// exp, tanh and log of every instruction set, compared with double, over floats of every magnitude.
#include <bit>
#include <limits>

#include "ops/elementwise.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The largest error allowed, in units in the last place. ops/simd/math_simd.h lists the measured errors,
// which are at most 2.97.
constexpr double kMathUlps = 4;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

// All finite floats whose bits are a multiple of a prime. The prime makes the mantissas vary.
std::vector<float> sweep() {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 1021) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isfinite(x)) values.push_back(x);
  }
  return values;
}

// The error of `got`, in units in the last place.
double ulps(float got, double want) {
  int exponent = 0;
  std::frexp(want, &exponent);
  return std::abs(static_cast<double>(got) - want) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

void apply(Unary function, float* y, const float* x, std::int64_t n) {
  kernels().unary_forward(function, y, x, n, 0.0f);
}

std::vector<float> apply(Unary function, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  apply(function, y.data(), x.data(), std::ssize(x));
  return y;
}

void check_sweep(const char* what, Unary function, double (*exact)(double), const std::vector<float>& x) {
  std::vector<double> want = as_doubles(x);
  for (double& v : want) v = exact(v);
  for_each_isa([&] {
    const std::vector<float> y = apply(function, x);
    double worst = 0;
    float worst_x = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = ulps(y[i], want[i]);
      if (error <= worst) continue;
      worst = error;
      worst_x = x[i];
    }
    INFO(what << "(" << worst_x << ") is " << worst << " ulp off");
    CHECK(worst <= kMathUlps);
  });
}

bool same(float a, float b) {
  return std::isnan(b) ? std::isnan(a) : std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

void check_special(const char* what, Unary function, const std::vector<float>& x,
                   const std::vector<float>& want) {
  const std::vector<float> y = apply(function, x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    INFO(what << "(" << x[i] << ") is " << y[i] << ", expected " << want[i]);
    CHECK(same(y[i], want[i]));
  }
}

TEST_CASE(
    "math: exp, tanh and log are within 4 units in the last place for every finite input in their range") {
  const std::vector<float> all = sweep();
  std::vector<float> exp_range, positive;
  for (float x : all) {
    if (x >= -86.9f && x <= 88.7228f) exp_range.push_back(x);
    if (x > 0) positive.push_back(x);
  }
  // More numbers in the wide binades, where the floats of the sweep are far apart.
  for (float x = -86.9f; x <= 88.7228f; x += 0.0013f) exp_range.push_back(x);
  check_sweep("exp", Unary::exp, std::exp, exp_range);
  check_sweep("tanh", Unary::tanh, std::tanh, all);
  check_sweep("log", Unary::log, std::log, positive);
}

TEST_CASE("math: zeros, infinities, NaN and the ends of the range give the expected results") {
  for_each_isa([] {
    check_special("exp", Unary::exp,
                  {0.0f, -0.0f, kDenormal, kInf, -kInf, kNan, -86.91f, -1e30f, 88.73f, 1e30f},
                  {1, 1, 1, kInf, 0, kNan, 0, 0, kInf, kInf});
    check_special("tanh", Unary::tanh, {0.0f, -0.0f, kDenormal, -kDenormal, kInf, -kInf, kNan, 1e30f, -12.0f},
                  {0.0f, -0.0f, kDenormal, -kDenormal, 1, -1, kNan, 1, -1});
    check_special("log", Unary::log, {0.0f, -0.0f, 1.0f, kInf, -kInf, -kDenormal, -1.0f, kNan},
                  {-kInf, -kInf, 0.0f, kInf, kNan, kNan, kNan, kNan});
  });
}

TEST_CASE("math: arrays of every length and alignment are written completely, and nothing outside them") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      const std::vector<float> x = random_floats(n, 5);
      std::vector<double> want(x.begin(), x.end());
      for (double& v : want) v = std::tanh(v);
      Guarded y(x, n % 7);
      apply(Unary::tanh, y.data(), y.data(), n);  // in place
      check_close("tanh", y.values(), want, {0, 5e-7});
      for (double& v : want) v = std::exp(v);
      apply(Unary::exp, y.data(), y.data(), n);
      check_close("exp", y.values(), want, {0, 1e-6});
      for (double& v : want) v = std::log(v);
      apply(Unary::log, y.data(), y.data(), n);
      check_close("log", y.values(), want, {1e-6, 1e-6});
      y.check();
    }
  });
}

}  // namespace
}  // namespace inkling
