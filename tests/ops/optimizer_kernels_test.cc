// The kernels of the optimisers. Steps computed by hand prove the reference, and the reference proves the
// SIMD kernels.
#include "core/parallel.h"
#include "ops/update/adamw.h"
#include "ops/update/sgd.h"
#include "ops/update/sum_of_squares.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Each weight has about a dozen roundings, and no digits cancel.
constexpr Tolerance kFloatTolerance{1e-7, 2e-6};

std::vector<float> squares(std::vector<float> x) {
  for (float& v : x) v *= v;
  return x;
}

TEST_CASE("adamw: the reference computes the update of the paper, at steps 1, 2 and 1000") {
  const double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1, lr = 1e-2, scale = 0.5;
  for (std::int64_t t : {1, 2, 1000}) {
    double p = 0.7, m = 0.03, v = 0.002;
    const double g = -1.3, gs = g * scale;
    const double m1 = beta1 * m + (1 - beta1) * gs, v1 = beta2 * v + (1 - beta2) * gs * gs;
    const double m_hat = m1 / (1 - std::pow(beta1, t)), v_hat = v1 / (1 - std::pow(beta2, t));
    const double p1 = p - lr * decay * p - lr * m_hat / (std::sqrt(v_hat) + eps);
    reference::adamw_update(&p, &m, &v, &g, 1, {beta1, beta2, eps, decay, lr, scale, t});
    constexpr double kRounding = 1e-15;  // double against double
    CHECK(std::abs(m - m1) < kRounding);
    CHECK(std::abs(v - v1) < kRounding);
    CHECK(std::abs(p - p1) < kRounding);
  }
}

TEST_CASE("adamw: the kernel with folded factors agrees with the reference, at every width and alignment") {
  const AdamWStep step{0.9, 0.95, 1e-8, 0.1, 3e-3, 0.37, 3};
  for_each_isa([&] {
    for (std::int64_t n : odd_sizes()) {
      INFO("n = " << n);
      const std::vector<float> p0 = random_floats(n, 1), m0 = random_floats(n, 2), g0 = random_floats(n, 4);
      const std::vector<float> v0 = squares(random_floats(n, 3));
      Guarded p(p0, n % 5), m(m0, n % 3), v(v0, n % 7), g(g0, n % 2);
      std::vector<double> want_p = as_doubles(p0), want_m = as_doubles(m0), want_v = as_doubles(v0);
      reference::adamw_update(want_p.data(), want_m.data(), want_v.data(), as_doubles(g0).data(), n, step);
      kernels().adamw_update(p.data(), m.data(), v.data(), g.data(), n, adamw_factors(step));
      check_close("p", p.values(), want_p, kFloatTolerance);
      check_close("m", m.values(), want_m, kFloatTolerance);
      check_close("v", v.values(), want_v, kFloatTolerance);
      for (const Guarded* guarded : {&p, &m, &v, &g}) guarded->check();
    }
  });
}

TEST_CASE("sgd: two steps of the reference agree with steps computed by hand") {
  const SgdFactors f{0.5f, 0.75f, 0.125f, 2.0f};  // all exact
  double p = 1, b = 0;
  const double g = 0.25;
  reference::sgd_update(&p, &b, &g, 1, f);
  CHECK(b == 0.625);   // 2 * 0.25 + 0.125 * 1
  CHECK(p == 0.6875);  // 1 - 0.5 * 0.625
  reference::sgd_update(&p, &b, &g, 1, f);
  CHECK(b == 1.0546875);  // 0.75 * 0.625 + 0.5 + 0.125 * 0.6875
  CHECK(p == 0.16015625);
}

TEST_CASE("sgd: every instruction set agrees with the reference at every width and alignment") {
  const SgdFactors f{0.1f, 0.9f, 0.01f, 0.37f};
  for_each_isa([&] {
    for (std::int64_t n : odd_sizes()) {
      INFO("n = " << n);
      const std::vector<float> p0 = random_floats(n, 1), b0 = random_floats(n, 2), g0 = random_floats(n, 3);
      Guarded p(p0, n % 5), b(b0, n % 3), g(g0, n % 2);
      std::vector<double> want_p = as_doubles(p0), want_b = as_doubles(b0);
      reference::sgd_update(want_p.data(), want_b.data(), as_doubles(g0).data(), n, f);
      kernels().sgd_update(p.data(), b.data(), g.data(), n, f);
      check_close("p", p.values(), want_p, {3e-7, 3e-6});
      check_close("b", b.values(), want_b, {3e-7, 3e-6});
      for (const Guarded* guarded : {&p, &b, &g}) guarded->check();
    }
  });
}

TEST_CASE("sum_of_squares: every instruction set agrees with double, at all lengths and across chunks") {
  for_each_isa([] {
    std::vector<std::int64_t> sizes = odd_sizes();
    for (std::int64_t n : {0, 4095, 4096, 4097, 65535, 65537, 300007}) sizes.push_back(n);
    for (std::int64_t n : sizes) {
      INFO("n = " << n);
      const std::vector<float> x = random_floats(n, 9);
      Guarded guarded(x, n % 5);
      const double want = reference::sum_of_squares(x.data(), n);
      CHECK(std::abs(sum_of_squares(guarded.data(), n) - want) <= 1e-6 * want);
    }
  });
}

TEST_CASE("sum_of_squares: 1, 2, 3 and 4 threads give the same bits, and NaN and inf reach the result") {
  const RestoreThreads restore;
  std::vector<float> x = random_floats(500000, 9);
  set_threads(1);
  const double want = sum_of_squares(x.data(), 500000);
  for (int count : {2, 3, 4}) {
    set_threads(count);
    CHECK(sum_of_squares(x.data(), 500000) == want);
  }
  for_each_isa([&] {
    std::vector<float> spoilt = x;
    spoilt[499999] = -INFINITY;
    CHECK(sum_of_squares(spoilt.data(), 500000) == std::numeric_limits<double>::infinity());
    spoilt[77777] = NAN;
    CHECK(std::isnan(sum_of_squares(spoilt.data(), 500000)));
  });
}

}  // namespace
}  // namespace inkling
