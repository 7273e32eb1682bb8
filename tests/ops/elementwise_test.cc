// Elementwise arithmetic with broadcasting: formula -> reference -> SIMD -> op.
#include "ops/elementwise.h"

#include <limits>

#include "core/parallel.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Each operation rounds once, but -d a / (b b) rounds three times. |b| is at least 1/2 in these tests.
constexpr Tolerance kArithmetic{1e-6, 1e-6};
// exp, log and tanh are within 4 units in the last place (ops/simd/math_simd.h); 1 - y^2 loses digits where
// |y| is near 1.
constexpr Tolerance kFunctions{1e-6, 1e-6};
// The gradient of a broadcast operand is a sum of many floats, up to 150 x 257.
constexpr Tolerance kSums{1e-4, 1e-5};

constexpr Binary kBinaries[] = {Binary::add, Binary::sub, Binary::mul, Binary::div};
constexpr Unary kUnaries[] = {Unary::exp, Unary::log, Unary::tanh, Unary::relu, Unary::scale, Unary::shift};

// Random operands with absolute values from 0.5 to 2.5. They are not near 0, because 1/x, log and relu are
// not smooth there. About half of them are negative, unless `positive` is set.
std::vector<double> operand(std::int64_t n, std::uint64_t seed, bool positive = false) {
  Rng rng(seed);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& v : values) {
    v = static_cast<float>(0.5 + 2 * rng.uniform());
    if (!positive && rng.below(2) == 1) v = -v;
  }
  return values;
}

std::vector<double> zeros(std::int64_t n) {
  return std::vector<double>(static_cast<std::size_t>(n));
}

struct BinaryCase {
  Binary op;
  Shape a_shape, b_shape, y_shape;
  std::vector<double> a, b, y, dy, da, db;

  BinaryCase(Binary op_, Shape a_shape_, Shape b_shape_)
      : op(op_), a_shape(a_shape_), b_shape(b_shape_), y_shape(broadcast("test", a_shape, b_shape)) {
    a = operand(a_shape.numel(), 1), b = operand(b_shape.numel(), 2);
    dy = as_doubles(random_floats(y_shape.numel(), 3));
    y = zeros(y_shape.numel()), da = zeros(a_shape.numel()), db = zeros(b_shape.numel());
    forward();
    reference::binary_backward(op, da.data(), db.data(), dy.data(), a.data(), b.data(), a_shape, b_shape);
  }
  double forward() {
    reference::binary_forward(op, y.data(), a.data(), b.data(), a_shape, b_shape);
    return dot(y, dy);
  }
};

// Pairs of shapes for the different ways in which two shapes can be broadcast together.
std::vector<std::pair<Shape, Shape>> shape_pairs() {
  return {{{}, {}},
          {{3}, {}},
          {{}, {2, 3}},
          {{5}, {5}},
          {{4, 3}, {3}},
          {{4, 1}, {1, 3}},
          {{4, 1}, {3}},
          {{2, 3, 4, 5}, {2, 3, 4, 5}},
          {{2, 3, 4, 5}, {3, 1, 5}},
          {{2, 3, 4, 5}, {2, 1, 4, 1}},
          {{2, 1, 4, 1}, {1, 3, 1, 5}},
          {{1, 3, 1, 5}, {2, 3, 4, 5}},
          {{1, 1, 1}, {2}},
          {{2, 3, 1}, {2, 1, 4}}};
}

TEST_CASE("elementwise: the backward formulas are the derivatives of the forward formulas") {
  for (const auto& [a_shape, b_shape] : shape_pairs()) {
    for (Binary op : kBinaries) {
      INFO("op " << static_cast<int>(op) << " of " << a_shape << " and " << b_shape);
      BinaryCase c(op, a_shape, b_shape);
      gradcheck("a", c.a, c.da, [&] { return c.forward(); });
      gradcheck("b", c.b, c.db, [&] { return c.forward(); });
    }
  }
  for (Unary op : kUnaries) {
    INFO("unary op " << static_cast<int>(op));
    const std::int64_t n = 20;
    std::vector<double> x = operand(n, 4, op == Unary::log), y = zeros(n), dx = zeros(n);
    const std::vector<double> dy = random_values(n, 5);
    const auto forward = [&] {
      reference::unary_forward(op, y.data(), x.data(), n, 1.7);
      return dot(y, dy);
    };
    forward();
    reference::unary_backward(op, dx.data(), dy.data(), x.data(), y.data(), n, 1.7);
    gradcheck("x", x, dx, forward);
  }
}

TEST_CASE("elementwise: the reference broadcasts two small operands to the result computed by hand") {
  const double a[] = {1, 2}, b[] = {10, 20, 30};
  double y[6];
  reference::binary_forward(Binary::add, y, a, b, {2, 1}, {3});
  const double want[] = {11, 21, 31, 12, 22, 32};
  for (int i = 0; i < 6; ++i) CHECK(y[i] == want[i]);
}

TEST_CASE("elementwise: every instruction set agrees with the reference for two operands at every length") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      for (Binary op : kBinaries) {
        for (const auto& steps : {std::pair{1, 1}, {1, 0}, {0, 1}}) {
          const std::int64_t a_step = steps.first, b_step = steps.second;
          INFO("op " << static_cast<int>(op) << ", n = " << n << ", steps " << a_step << b_step);
          const std::int64_t shift = n % 5;
          const BinaryCase c(op, {a_step != 0 ? n : 1}, {b_step != 0 ? n : 1});
          Guarded a(floats(c.a), shift), b(floats(c.b), shift), dy(floats(c.dy), shift), y(n, shift, NAN);
          kernels().binary_forward(op, y.data(), {a.data(), a_step}, {b.data(), b_step}, n);
          check_close("y", y.values(), c.y, kArithmetic);
          y.check();
          for (Side of : {Side::a, Side::b}) {
            if ((of == Side::a ? a_step : b_step) == 0 && n > 1) continue;  // the op sums these, see below
            const std::vector<double>& want = of == Side::a ? c.da : c.db;
            std::vector<double> plus_one = want;
            for (double& v : plus_one) v += 1;
            Guarded assigned(n, shift, NAN), accumulated(n, shift, 1.0f);
            const auto run = [&](Guarded& dx, bool accumulate) {
              kernels().binary_backward(op, of, dx.data(), dy.data(), {a.data(), a_step}, {b.data(), b_step},
                                        n, accumulate);
              dx.check();
            };
            run(assigned, false);
            run(accumulated, true);
            check_close("dx", assigned.values(), want, kArithmetic);
            check_close("dx accumulated", accumulated.values(), plus_one, kArithmetic);
          }
        }
      }
    }
  });
}

TEST_CASE("elementwise: every instruction set agrees with the reference for one operand at every length") {
  for_each_isa([] {
    for (std::int64_t n : odd_sizes()) {
      for (Unary op : kUnaries) {
        INFO("unary op " << static_cast<int>(op) << ", n = " << n);
        const std::int64_t shift = n % 5;
        const float s = 1.75f;
        const std::vector<double> x = operand(n, 6, op == Unary::log), dy = as_doubles(random_floats(n, 7));
        std::vector<double> want_y = zeros(n), want_dx = zeros(n);
        reference::unary_forward(op, want_y.data(), x.data(), n, 1.75);
        reference::unary_backward(op, want_dx.data(), dy.data(), x.data(), want_y.data(), n, 1.75);
        Guarded X(floats(x), shift), DY(floats(dy), shift), Y(n, shift, NAN), assigned(n, shift, NAN),
            added(n, shift, 1);
        kernels().unary_forward(op, Y.data(), X.data(), n, s);
        check_close("y", Y.values(), want_y, kFunctions);
        kernels().unary_backward(op, assigned.data(), DY.data(), X.data(), Y.data(), n, s, false);
        check_close("dx", assigned.values(), want_dx, kFunctions);
        kernels().unary_backward(op, added.data(), DY.data(), X.data(), Y.data(), n, s, true);
        for (double& v : want_dx) v += 1;
        check_close("dx accumulated", added.values(), want_dx, kFunctions);
        for (const Guarded* g : {&Y, &assigned, &added}) g->check();
      }
    }
  });
}

using BinaryFn = Tensor (*)(Tape&, const Tensor&, const Tensor&);

void check_op(BinaryFn fn, const BinaryCase& c, int thread_count) {
  const RestoreThreads restore;
  set_threads(thread_count);
  std::vector<float> a = floats(c.a), b = floats(c.b), dy = floats(c.dy), da(a.size(), NAN),
                     db(b.size(), NAN);
  Tape tape;
  const Tensor A = tape.leaf(a.data(), da.data(), c.a_shape, LeafGradient::overwrite);
  const Tensor B = tape.leaf(b.data(), db.data(), c.b_shape, LeafGradient::overwrite);
  const Tensor y = fn(tape, A, B);
  REQUIRE(y.shape() == c.y_shape);
  check_close("y", std::span<const float>(y.f32(), dy.size()), c.y, kArithmetic);
  tape.backward(dot(tape, y, dy.data()));
  check_close("da", std::span<const float>(da), c.da, kSums);
  check_close("db", std::span<const float>(db), c.db, kSums);
}

TEST_CASE("elementwise: the ops broadcast every pair of shapes and sum the gradients over broadcast axes") {
  constexpr BinaryFn kOps[] = {add, sub, mul, div};
  std::vector<std::pair<Shape, Shape>> pairs = shape_pairs();
  pairs.insert(pairs.end(),
               {{{200, 257}, {257}}, {{200, 257}, {200, 1}}, {{3, 70, 257}, {70, 1}}, {{}, {150, 257}}});
  for (const auto& [a_shape, b_shape] : pairs) {
    for (int i = 0; i < 4; ++i) {
      INFO("op " << i << " of " << a_shape << " and " << b_shape);
      check_op(kOps[i], BinaryCase(kBinaries[i], a_shape, b_shape), 1 + i % 3);
    }
  }
}

TEST_CASE("elementwise: on the tape, functions of one operand have the reference's values and gradients") {
  using UnaryFn = Tensor (*)(Tape&, const Tensor&);
  const UnaryFn ops[] = {exp,
                         log,
                         tanh,
                         relu,
                         [](Tape& tape, const Tensor& x) { return scale(tape, x, 1.75f); },
                         [](Tape& tape, const Tensor& x) { return add(tape, x, 1.75f); }};
  const std::int64_t n = 40000;  // three tasks
  for (std::size_t i = 0; i < 6; ++i) {
    INFO("unary op " << i);
    const std::vector<double> x = operand(n, 8, kUnaries[i] == Unary::log),
                              dy = as_doubles(random_floats(n, 9));
    std::vector<double> want_y = zeros(n), want_dx = zeros(n);
    reference::unary_forward(kUnaries[i], want_y.data(), x.data(), n, 1.75);
    reference::unary_backward(kUnaries[i], want_dx.data(), dy.data(), x.data(), want_y.data(), n, 1.75);
    std::vector<float> values = floats(x), gradient(values.size()), d = floats(dy);
    Tape tape;
    const Tensor y =
        ops[i](tape, tape.leaf(values.data(), gradient.data(), {200, 200}, LeafGradient::overwrite));
    check_close("y", std::span<const float>(y.f32(), values.size()), want_y, kFunctions);
    tape.backward(dot(tape, y, d.data()));
    check_close("dx", std::span<const float>(gradient), want_dx, kFunctions);
  }
}

TEST_CASE("elementwise: x + x and x * x add both operands' gradients to x") {
  std::vector<float> x = random_floats(40, 1), dx(40), dy = random_floats(40, 2);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {40}, LeafGradient::overwrite);
  tape.backward(dot(tape, add(tape, mul(tape, X, X), add(tape, X, X)), dy.data()));
  for (std::size_t i = 0; i < 40; ++i) CHECK(dx[i] == Approx(dy[i] * (2 * x[i] + 2)).margin(1e-6));
}

TEST_CASE("elementwise: relu keeps NaN; exp(inf), exp(-inf) and log(0) are inf, 0 and -inf") {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_isa([inf] {
    std::vector<float> x = {NAN, -1.0f, -0.0f, inf, -inf, 3.0f};
    Tape tape(Recording::off);
    const Tensor r = relu(tape, Tensor(x.data(), {6}));
    CHECK(std::isnan(r.f32()[0]));
    CHECK(r.f32()[1] == 0.0f);
    CHECK(r.f32()[3] == inf);
    CHECK(r.f32()[4] == 0.0f);
    CHECK(r.f32()[5] == 3.0f);
    const Tensor e = exp(tape, Tensor(x.data(), {6}));
    CHECK(e.f32()[3] == inf);
    CHECK(e.f32()[4] == 0.0f);
    std::vector<float> zero = {0.0f};
    CHECK(log(tape, Tensor(zero.data(), {1})).item() == -inf);
  });
}

TEST_CASE("elementwise: the gradient of relu is 0 at 0, and where x is NaN") {
  for_each_isa([] {
    std::vector<float> x, dx(33), dy(33, 2.0f);  // full registers and a tail
    for (int i = 0; i < 11; ++i) x.insert(x.end(), {0.0f, NAN, 1e-30f});
    Tape tape;
    const Tensor X = tape.leaf(x.data(), dx.data(), {33}, LeafGradient::overwrite);
    tape.backward(dot(tape, relu(tape, X), dy.data()));
    for (std::size_t i = 0; i < 33; ++i) CHECK(dx[i] == (i % 3 == 2 ? 2.0f : 0.0f));
  });
}

TEST_CASE("elementwise: errors name shapes that cannot be broadcast together, and a wrong dtype") {
  std::vector<float> x(12);
  Tape tape;
  CHECK_THROWS_WITH(add(tape, Tensor(x.data(), {3, 4}), Tensor(x.data(), {3})),
                    contains("add: shapes (3, 4) and (3) cannot be broadcast: one axis has sizes 4 and 3, "
                             "expected equal sizes"));
  std::vector<std::int32_t> ids(12);
  CHECK_THROWS_WITH(mul(tape, Tensor(x.data(), {12}), Tensor(ids.data(), {12})),
                    contains("dtype is i32, expected f32"));
}

TEST_CASE("elementwise: an empty tensor gives an empty result and gradient zero") {
  std::vector<float> x(1, 2.0f), dx(1, NAN), w(1, 3.0f), dw(1, NAN);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {1}, LeafGradient::overwrite);
  const Tensor W = tape.leaf(w.data(), dw.data(), {1}, LeafGradient::overwrite);
  const Tensor y = mul(tape, X.slice(0, 0, 0), W);
  CHECK(y.numel() == 0);
  tape.backward(dot(tape, y, nullptr));
  CHECK(dx[0] == 0.0f);
  CHECK(dw[0] == 0.0f);
}

TEST_CASE("elementwise: an error names an argument with a wrong dtype") {
  Zeros zeros;
  Tape tape;
  // A tensor without elements has no task that could find the wrong dtype.
  CHECK_THROWS_WITH(add(tape, zeros.bf16({0, 4}), zeros.f32({0, 4})),
                    contains("add: a (0, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(mul(tape, zeros.f32({0, 4}), zeros.i32({0, 4})),
                    contains("mul: b (0, 4): dtype is i32, expected f32"));
  CHECK_THROWS_WITH(exp(tape, zeros.i32({0, 4})), contains("exp: x (0, 4): dtype is i32, expected f32"));
}

}  // namespace
}  // namespace inkling
