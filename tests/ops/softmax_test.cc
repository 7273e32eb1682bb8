// Softmax: formula -> reference -> SIMD -> op.
#include "ops/softmax.h"

#include <limits>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// exp is within 2 ulp. A sum of up to 768 floats, in a few lanes, adds an error of a few more.
constexpr Tolerance kFloatTolerance{2e-7, 1e-5};

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST_CASE("softmax: the backward formula is the derivative of the forward formula") {
  for (std::int64_t C : {1, 2, 9}) {
    const auto n = static_cast<std::size_t>(3 * C);
    std::vector<double> x = random_values(3 * C, 1), y(n), dx(n);
    const std::vector<double> dy = random_values(3 * C, 2);
    const auto loss = [&] {
      reference::softmax_forward(y.data(), x.data(), 3, C);
      return dot(y, dy);
    };
    loss();
    reference::softmax_backward(dx.data(), dy.data(), y.data(), 3, C);
    gradcheck("x", x, dx, loss);
  }
}

TEST_CASE("softmax: every instruction set agrees with the reference at every width and alignment") {
  for_each_isa([] {
    for (std::int64_t C : odd_sizes()) {
      INFO("C = " << C);
      const std::int64_t rows = 3, n = rows * C;
      std::vector<float> x = random_floats(n, 3, 4.0);
      const std::vector<float> dy = random_floats(n, 4);
      for (float& v : x) v -= 500;  // e^x would be 0 without subtracting the maximum
      std::vector<double> want(x.size()), dx(x.size()), dx_plus_one(x.size(), 1.0);
      reference::softmax_forward(want.data(), as_doubles(x).data(), rows, C);
      reference::softmax_backward(dx.data(), as_doubles(dy).data(), want.data(), rows, C);
      reference::softmax_backward(dx_plus_one.data(), as_doubles(dy).data(), want.data(), rows, C);
      Guarded in(x, C % 5), grad(dy, C % 3), y(n, C % 7), assigned(n, C % 5, NAN),
          accumulated(n, C % 5, 1.0f);
      kernels().softmax_forward(y.data(), in.data(), rows, C);
      kernels().softmax_backward(assigned.data(), grad.data(), y.data(), rows, C, false);
      kernels().softmax_backward(accumulated.data(), grad.data(), y.data(), rows, C, true);
      check_close("y", y.values(), want, kFloatTolerance);
      check_close("dx", assigned.values(), dx, {1e-6, 1e-5});
      check_close("dx accumulated", accumulated.values(), dx_plus_one, {1e-6, 1e-5});
      for (const Guarded* g : {&y, &assigned, &accumulated}) g->check();
    }
  });
}

TEST_CASE("softmax: -inf has probability 0; a row of -inf, or with NaN or inf, is NaN") {
  for_each_isa([] {
    for (std::int64_t C : {2, 17, 40}) {
      std::vector<float> x(static_cast<std::size_t>(5 * C), -kInf), y(x.size());
      const auto at = [&](std::int64_t row, std::int64_t c) { return static_cast<std::size_t>(row * C + c); };
      x[at(0, C - 1)] = 3;  // one number among -inf
      for (std::int64_t c = 0; c < C; ++c) x[at(2, c)] = x[at(3, c)] = x[at(4, c)] = 1;
      x[at(2, C / 2)] = NAN;
      x[at(3, C / 2)] = kInf;
      kernels().softmax_forward(y.data(), x.data(), 5, C);
      for (std::int64_t c = 0; c < C; ++c) {
        CHECK(y[at(0, c)] == (c == C - 1 ? 1.0f : 0.0f));
        CHECK(std::isnan(y[at(1, c)]));
        CHECK(std::isnan(y[at(2, c)]));
        CHECK(std::isnan(y[at(3, c)]));
        CHECK(std::abs(y[at(4, c)] - 1 / static_cast<float>(C)) < 1e-6f);
      }
    }
  });
}

TEST_CASE("softmax: the op's result and gradient agree with the reference, over several chunks") {
  const std::int64_t rows = 12, C = 5003;
  std::vector<float> x = random_floats(rows * C, 5, 2.0), dx(x.size()), dy = random_floats(rows * C, 6);
  std::vector<double> want(x.size()), want_dx(x.size());
  reference::softmax_forward(want.data(), as_doubles(x).data(), rows, C);
  reference::softmax_backward(want_dx.data(), as_doubles(dy).data(), want.data(), rows, C);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {3, 4, C}, LeafGradient::overwrite);
  const Tensor y = softmax(tape, X);
  check_close("y", std::span<const float>(y.f32(), x.size()), want, kFloatTolerance);
  tape.backward(dot(tape, y, dy.data()));
  check_close("dx", std::span<const float>(dx), want_dx, {1e-7, 1e-5});
  CHECK_THROWS_WITH(softmax(tape, X.transpose(0, 1)), contains("softmax: x (4, 3, 5003) is not contiguous"));
}

TEST_CASE("softmax: an error names an argument with a wrong dtype") {
  Zeros zeros;
  Tape tape;
  // A tensor without elements has no task that could find the wrong dtype.
  CHECK_THROWS_WITH(softmax(tape, zeros.bf16({0, 4})),
                    contains("softmax: x (0, 4): dtype is bf16, expected f32"));
}

}  // namespace
}  // namespace inkling
