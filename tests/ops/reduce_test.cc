// Sum, mean and maximum: formula -> reference -> SIMD -> op.
#include "ops/reduce.h"

#include <limits>

#include "core/parallel.h"
#include "ops/elementwise.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A sum of n floats of size 1 has size sqrt(n). Its error is a few units in the last place of its largest
// partial sums.
constexpr Tolerance kSums{1e-4, 1e-5};
constexpr Tolerance kExact{0, 0};

struct Case {
  std::int64_t outer, n, inner;
  double scale;
  std::vector<double> x, dy, sum, most, dx_sum, dx_max;

  Case(std::int64_t outer_, std::int64_t n_, std::int64_t inner_, double scale_ = 1)
      : outer(outer_), n(n_), inner(inner_), scale(scale_) {
    x = as_doubles(random_bf16s(outer * n * inner, 1));
    dy = as_doubles(random_floats(outer * inner, 2));
    const auto count = static_cast<std::size_t>(outer * inner);
    sum.resize(count), most.resize(count), dx_sum.resize(x.size()), dx_max.resize(x.size());
    forward_sum();
    forward_max();
    reference::sum_backward(dx_sum.data(), dy.data(), outer, n, inner, scale);
    reference::max_backward(dx_max.data(), dy.data(), x.data(), most.data(), outer, n, inner);
  }
  double forward_sum() {
    reference::sum_forward(sum.data(), x.data(), outer, n, inner, scale);
    return dot(sum, dy);
  }
  double forward_max() {
    reference::max_forward(most.data(), x.data(), outer, n, inner);
    return dot(most, dy);
  }
};

TEST_CASE("reduce: the backward formulas are the derivatives of the forward formulas") {
  for (auto [outer, n, inner] : {std::array{1, 1, 1}, {3, 5, 1}, {1, 4, 6}, {2, 3, 4}}) {
    Case c(outer, n, inner, 0.25);
    gradcheck("x of sum", c.x, c.dx_sum, [&] { return c.forward_sum(); });
    gradcheck("x of max", c.x, c.dx_max, [&] { return c.forward_max(); });
  }
}

TEST_CASE("reduce: every instruction set agrees with the reference along rows and down columns") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      INFO("n = " << n);
      const std::int64_t shift = n % 5, rows = 133;  // more rows than one block of partial sums
      const Case row(1, n, 1), columns(1, rows, n, 0.5);
      Guarded x(floats(row.x), shift);
      check_close("sum of a row", std::vector<float>{kernels().sum_row(x.data(), n)}, row.sum, kSums);
      check_close("max of a row", std::vector<float>{kernels().max_row(x.data(), n)}, row.most, kExact);
      Guarded table(floats(columns.x), shift), sum(n, shift, NAN), added(n, shift, 1.0f), most(n, shift, NAN);
      kernels().of<float>().sum_columns(sum.data(), table.data(), rows, n, n, 0.5f, false);
      check_close("sums of columns", sum.values(), columns.sum, kSums);
      GuardedBf16 narrow_table(to_bf16(floats(columns.x)), shift);
      Guarded narrow_sum(n, shift, NAN);
      kernels().of<bf16>().sum_columns(narrow_sum.data(), narrow_table.data(), rows, n, n, 0.5f, false);
      check_close("sums of columns of bf16", narrow_sum.values(), sum.values(), kExact);
      narrow_sum.check();
      kernels().of<float>().sum_columns(added.data(), table.data(), rows, n, n, 0.5f, true);
      std::vector<double> plus_one = columns.sum;
      for (double& v : plus_one) v += 1;
      check_close("sums of columns accumulated", added.values(), plus_one, kSums);
      kernels().max_columns(most.data(), table.data(), rows, n, n);
      check_close("max of columns", most.values(), columns.most, kExact);
      for (const Guarded* g : {&sum, &added, &most}) g->check();
    }
  });
}

TEST_CASE("reduce: add_scaled reads one number or a whole array, and assigns or accumulates") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      for (std::int64_t step : {0, 1}) {
        INFO("n = " << n << ", step = " << step);
        const std::int64_t shift = n % 5;
        const std::vector<float> x = random_floats(n, 3);
        std::vector<double> want(x.size()), plus_one(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
          want[i] = 0.5 * static_cast<double>(step == 0 ? x[0] : x[i]);
          plus_one[i] = want[i] + 1;
        }
        Guarded source(x, shift), assigned(n, shift, NAN), added(n, shift, 1.0f);
        kernels().add_scaled(assigned.data(), source.data(), n, step, 0.5f, false);
        kernels().add_scaled(added.data(), source.data(), n, step, 0.5f, true);
        check_close("assigned", assigned.values(), want, kExact);
        check_close("added", added.values(), plus_one, {1e-7, 1e-7});
        assigned.check();
        added.check();
      }
    }
  });
}

using AxisFn = Tensor (*)(Tape&, const Tensor&, int, bool);

// Runs `fn` on axis 1 of (outer, n, inner) and compares value and gradient.
void check_op(AxisFn fn, const Case& c, const std::vector<double>& want, const std::vector<double>& want_dx) {
  std::vector<float> x = floats(c.x), dx(x.size(), NAN), dy = floats(c.dy);
  for (bool keepdim : {false, true}) {
    Tape tape;
    const Tensor X = tape.leaf(x.data(), dx.data(), {c.outer, c.n, c.inner}, LeafGradient::overwrite);
    const Tensor y = fn(tape, X, 1, keepdim);
    CHECK(y.shape() == (keepdim ? Shape{c.outer, 1, c.inner} : Shape{c.outer, c.inner}));
    check_close("y", std::span<const float>(y.f32(), want.size()), want, kSums);
    tape.backward(dot(tape, y, dy.data()));
    check_close("dx", std::span<const float>(dx), want_dx, {1e-7, 1e-6});
  }
}

TEST_CASE("reduce: sum, mean and max along an axis, and their gradients, agree with the reference") {
  for (auto [outer, n, inner] : {std::array{2, 3, 4},
                                 {5, 7, 1},
                                 {1, 9, 5},
                                 {40, 1000, 1},
                                 {3, 50, 333},
                                 {2, 40000, 1},
                                 {1, 20000, 2},
                                 {4, 1, 6}}) {
    INFO(outer << ", " << n << ", " << inner);
    const Case c(outer, n, inner), average(outer, n, inner, 1.0 / n);
    check_op(sum, c, c.sum, c.dx_sum);
    check_op(mean, average, average.sum, average.dx_sum);
    check_op(max, c, c.most, c.dx_max);
  }
}

TEST_CASE("reduce: a sum of a million elements is accurate and has the same bits on 1 to 4 threads") {
  const std::int64_t n = 1'000'003;
  std::vector<float> x = random_floats(n, 4), dx(x.size());
  for (float& v : x) v += 1.0f;
  double exact = 0;
  for (float v : x) exact += static_cast<double>(v);
  const RestoreThreads restore;
  std::vector<float> sums;
  for (int count = 1; count <= 4; ++count) {
    set_threads(count);
    Tape tape;
    const Tensor X = tape.leaf(x.data(), dx.data(), {n}, LeafGradient::overwrite);
    const Tensor total = sum(tape, X);
    sums.push_back(total.item());
    CHECK(total.rank() == 0);
    CHECK(total.item() == Approx(exact).epsilon(1e-6));
    CHECK(mean(tape, X).item() == Approx(exact / static_cast<double>(n)).epsilon(1e-6));
    CHECK(max(tape, X).item() == *std::max_element(x.begin(), x.end()));
    tape.backward(total, 2.0f);
    CHECK(dx.front() == 2.0f);
    CHECK(dx.back() == 2.0f);
  }
  for (float s : sums) CHECK(s == sums[0]);
}

TEST_CASE("reduce: the gradient of a maximum goes to the first of equal elements; NaN is the maximum") {
  for_each_isa([] {
    for (std::int64_t n : {3, 20, 50}) {
      std::vector<float> x(static_cast<std::size_t>(n), 1.0f), dx(x.size());
      x[1] = x[2] = 7.0f;
      Tape tape;
      const Tensor X = tape.leaf(x.data(), dx.data(), {n}, LeafGradient::overwrite);
      tape.backward(max(tape, X));
      for (std::size_t i = 0; i < dx.size(); ++i) CHECK(dx[i] == (i == 1 ? 1.0f : 0.0f));
      for (std::size_t place : {std::size_t{0}, std::size_t{2}, x.size() - 1}) {
        std::vector<float> with_nan = x;
        with_nan[place] = NAN;
        CHECK(std::isnan(kernels().max_row(with_nan.data(), n)));
        float column = 0;
        kernels().max_columns(&column, with_nan.data(), n, 1, 1);
        CHECK(std::isnan(column));
      }
      const std::vector<float> lowest(x.size(), -std::numeric_limits<float>::infinity());
      CHECK(kernels().max_row(lowest.data(), n) == -std::numeric_limits<float>::infinity());
    }
  });
}

TEST_CASE(
    "reduce: softmax written with general ops has rows that sum to one and gradients that sum to zero") {
  std::vector<float> x = random_floats(6 * 11, 5, 3.0), dx(x.size()), dy = random_floats(6 * 11, 6);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {6, 11}, LeafGradient::overwrite);
  const Tensor e = exp(tape, sub(tape, X, max(tape, X, 1, true)));
  const Tensor p = div(tape, e, sum(tape, e, 1, true));
  tape.backward(dot(tape, p, dy.data()));
  for (std::int64_t r = 0; r < 6; ++r) {
    float row = 0, gradient = 0;
    for (std::int64_t c = 0; c < 11; ++c)
      row += p.f32()[r * 11 + c], gradient += dx[static_cast<std::size_t>(r * 11 + c)];
    CHECK(row == Approx(1.0f));
    CHECK(std::abs(gradient) < 1e-5f);
  }
}

TEST_CASE("reduce: a wrong axis, and a mean or maximum of no elements, are errors") {
  std::vector<float> x(6);
  Tape tape;
  const Tensor X(x.data(), {2, 3});
  CHECK_THROWS_WITH(sum(tape, X, 2), contains("sum: axis 2 of a tensor (2, 3)"));
  CHECK_THROWS_WITH(max(tape, X, -1), contains("max: axis -1 of a tensor (2, 3)"));
  CHECK_THROWS_WITH(mean(tape, X.slice(1, 0, 0), 1), contains("mean: there are no elements"));
  CHECK_THROWS_WITH(max(tape, X.slice(1, 0, 0), 1), contains("max: there are no elements"));
  CHECK(sum(tape, X.slice(1, 0, 0)).item() == 0.0f);
}

}  // namespace
}  // namespace inkling
