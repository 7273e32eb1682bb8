// GELU: formula -> reference -> SIMD -> op.
#include "ops/gelu.h"

#include <limits>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The rounding error of 2u is 2u times 6e-8, and e^(-2u) has this as its relative error. 2u is at most about
// 20: beyond that, s is 1.
constexpr Tolerance kFloatTolerance{2e-6, 2e-6};

constexpr Tolerance kBf16Tolerance{2e-6, kBf16Rounding + 2e-6};

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST_CASE("gelu: the reference is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))") {
  for (double x = -9; x <= 9; x += 0.37) {
    double y = 0;
    reference::gelu_forward(&y, &x, 1);
    const double u = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
    CHECK(std::abs(y - 0.5 * x * (1 + std::tanh(u))) < 1e-14);
  }
}

TEST_CASE("gelu: the backward formula is the derivative of the forward formula") {
  std::vector<double> x = random_values(50, 1, 2.0), y(50), dx(50);
  const std::vector<double> dy = random_values(50, 2);
  reference::gelu_backward(dx.data(), dy.data(), x.data(), 50);
  gradcheck("x", x, dx, [&] {
    reference::gelu_forward(y.data(), x.data(), 50);
    return dot(y, dy);
  });
}

TEST_CASE("gelu: every instruction set agrees with the reference at every width and alignment") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      INFO("n = " << n);
      const std::vector<float> x = random_floats(n, 3, 3.0), dy = random_floats(n, 4);
      std::vector<double> want(x.size()), dx(x.size()), dx_plus_one(x.size(), 1.0);
      reference::gelu_forward(want.data(), as_doubles(x).data(), n);
      reference::gelu_backward(dx.data(), as_doubles(dy).data(), as_doubles(x).data(), n);
      reference::gelu_backward(dx_plus_one.data(), as_doubles(dy).data(), as_doubles(x).data(), n);
      Guarded in(x, n % 5), grad(dy, n % 3), y(n, n % 7), assigned(n, n % 5, NAN),
          accumulated(n, n % 5, 1.0f);
      kernels().of<float>().gelu_forward(y.data(), in.data(), n);
      kernels().of<float>().gelu_backward(assigned.data(), grad.data(), in.data(), n, false);
      kernels().of<float>().gelu_backward(accumulated.data(), grad.data(), in.data(), n, true);
      check_close("y", y.values(), want, kFloatTolerance);
      check_close("dx", assigned.values(), dx, kFloatTolerance);
      check_close("dx accumulated", accumulated.values(), dx_plus_one, kFloatTolerance);
      for (const Guarded* g : {&y, &assigned, &accumulated}) g->check();
    }
  });
}

TEST_CASE("gelu: in bf16, every instruction set gives the numbers of the reference, rounded once") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      INFO("n = " << n);
      const std::vector<float> x = random_bf16s(n, 3, 3.0), dy = random_bf16s(n, 4);
      std::vector<double> want(x.size()), dx(x.size()), dx_plus_one(x.size(), 1.0);
      reference::gelu_forward(want.data(), as_doubles(x).data(), n);
      reference::gelu_backward(dx.data(), as_doubles(dy).data(), as_doubles(x).data(), n);
      reference::gelu_backward(dx_plus_one.data(), as_doubles(dy).data(), as_doubles(x).data(), n);
      GuardedBf16 in(to_bf16(x), n % 5), grad(to_bf16(dy), n % 3), y(n, n % 7);
      GuardedBf16 assigned(n, n % 5, inkling::to_bf16(NAN)), accumulated(n, n % 5, inkling::to_bf16(1.0f));
      kernels().of<bf16>().gelu_forward(y.data(), in.data(), n);
      kernels().of<bf16>().gelu_backward(assigned.data(), grad.data(), in.data(), n, false);
      kernels().of<bf16>().gelu_backward(accumulated.data(), grad.data(), in.data(), n, true);
      check_close("y", y.values(), want, kBf16Tolerance);
      check_close("dx", assigned.values(), dx, kBf16Tolerance);
      check_close("dx accumulated", accumulated.values(), dx_plus_one, kBf16Tolerance);
      for (const GuardedBf16* g : {&y, &assigned, &accumulated}) g->check();
    }
  });
}

TEST_CASE("gelu: far from 0 the value is x or 0 and the slope 1 or 0; NaN stays NaN") {
  const std::vector<float> x{30, -30, 1e20f, -1e20f, kInf, NAN}, y{30, 0, 1e20f, 0, kInf, NAN};
  const std::vector<float> slope{1, 0, 1, 0, 1, NAN}, dy(6, 1.0f);
  for_each_isa([&] {
    std::vector<float> got(6), dx(6);
    kernels().of<float>().gelu_forward(got.data(), x.data(), 6);
    kernels().of<float>().gelu_backward(dx.data(), dy.data(), x.data(), 6, false);
    check_close(std::string("y"), std::span<const float>(got), std::span<const float>(y), {0, 0});
    check_close(std::string("dx"), std::span<const float>(dx), std::span<const float>(slope), {0, 0});
  });
}

TEST_CASE("gelu: the op's value and gradient agree with the reference, over several chunks") {
  const std::int64_t n = 7 * 5003;
  std::vector<float> x = random_floats(n, 5, 2.0), dx(x.size()), dy = random_floats(n, 6);
  std::vector<double> want(x.size()), want_dx(x.size());
  reference::gelu_forward(want.data(), as_doubles(x).data(), n);
  reference::gelu_backward(want_dx.data(), as_doubles(dy).data(), as_doubles(x).data(), n);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {7, 5003}, LeafGradient::overwrite);
  const Tensor y = gelu(tape, X);
  CHECK(y.shape() == Shape{7, 5003});
  check_close("y", std::span<const float>(y.f32(), x.size()), want, kFloatTolerance);
  tape.backward(dot(tape, y, dy.data()));
  check_close("dx", std::span<const float>(dx), want_dx, kFloatTolerance);
  CHECK_THROWS_WITH(gelu(tape, X.transpose(0, 1)), contains("gelu: x (5003, 7) is not contiguous"));
}

TEST_CASE("gelu: the op's result and gradient have the dtype of its input") {
  const std::int64_t n = 9 * 2503;  // two chunks
  std::vector<float> x = random_bf16s(n, 5, 2.0), dx(x.size());
  const std::vector<float> dy = random_bf16s(n, 6);
  std::vector<double> want(x.size()), want_dx(x.size());
  reference::gelu_forward(want.data(), as_doubles(x).data(), n);
  reference::gelu_backward(want_dx.data(), as_doubles(dy).data(), as_doubles(x).data(), n);
  Tape tape;
  const Tensor y =
      gelu(tape, narrowed(tape, tape.leaf(x.data(), dx.data(), {9, 2503}, LeafGradient::overwrite)));
  check_close("y", std::span<const bf16>(y.data<bf16>(), x.size()), want, kBf16Tolerance);
  tape.backward(dot(tape, y, dy.data()));
  check_close("dx", std::span<const float>(dx), want_dx, kBf16Tolerance);
}

}  // namespace
}  // namespace inkling
