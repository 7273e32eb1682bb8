// The linear layer: formula -> reference -> op.
#include "ops/linear.h"

#include <cstring>

#include "core/parallel.h"
#include "ops/gemm/gemm_bf16.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Sums of at most 300 products of standard normals.
constexpr Tolerance kFloatTolerance{1e-4, 1e-5};

struct Case {
  std::int64_t M, IC, OC;
  std::vector<double> x, weight, bias, dy;
  std::vector<double> y, dx, dweight, dbias;

  Case(std::int64_t M_, std::int64_t IC_, std::int64_t OC_) : M(M_), IC(IC_), OC(OC_) {
    // doubles that float can hold, so that float kernels get exactly the same input
    x = as_doubles(random_floats(M * IC, 1)), weight = as_doubles(random_floats(OC * IC, 2));
    bias = as_doubles(random_floats(OC, 3)), dy = as_doubles(random_floats(M * OC, 4));
    y.resize(dy.size()), dx.resize(x.size()), dweight.resize(weight.size()), dbias.resize(bias.size());
    forward();
    reference::linear_backward({dx.data(), dweight.data(), dbias.data()}, dy.data(), x.data(), weight.data(),
                               M, IC, OC);
  }
  double forward() {
    reference::linear_forward(y.data(), x.data(), weight.data(), bias.data(), M, IC, OC);
    return dot(y, dy);
  }
};

TEST_CASE("linear: the backward formula is the derivative of the forward formula") {
  Case c(3, 4, 5);
  gradcheck("x", c.x, c.dx, [&] { return c.forward(); });
  gradcheck("weight", c.weight, c.dweight, [&] { return c.forward(); });
  gradcheck("bias", c.bias, c.dbias, [&] { return c.forward(); });
}

TEST_CASE("linear: the op's result and gradients agree with the reference") {
  for_each_isa([] {
    for (const auto& [M, IC, OC] : {std::array<std::int64_t, 3>{4, 5, 3}, {70, 33, 300}, {6, 64, 20}}) {
      const Case c(M, IC, OC);
      const std::vector<float> dy = floats(c.dy);
      std::vector<float> x = floats(c.x), weight = floats(c.weight), bias = floats(c.bias);
      std::vector<float> dx(x.size(), NAN), dweight(weight.size(), NAN), dbias(bias.size(), 1.0f);
      Tape tape;
      const Tensor X = tape.leaf(x.data(), dx.data(), {2, M / 2, IC}, LeafGradient::overwrite);
      const Tensor W = tape.leaf(weight.data(), dweight.data(), {OC, IC}, LeafGradient::overwrite);
      const Tensor B = tape.leaf(bias.data(), dbias.data(), {OC}, LeafGradient::accumulate);
      const Tensor y = linear(tape, X, W, B);
      CHECK(y.shape() == Shape{2, M / 2, OC});
      check_close("y", std::span<const float>(y.f32(), dy.size()), c.y, kFloatTolerance);
      const Tensor loss = dot(tape, y, dy.data());
      tape.backward(loss);
      check_close("dx", dx, c.dx, kFloatTolerance);
      check_close("dweight", dweight, c.dweight, kFloatTolerance);
      std::vector<double> dbias_added = c.dbias;
      for (double& v : dbias_added) v += 1;
      check_close("dbias", dbias, dbias_added, kFloatTolerance);
    }
  });
}

TEST_CASE("linear: the bias and the gradients of x and of the weight are optional, and two uses add up") {
  const std::int64_t M = 6, IC = 7, OC = 9;
  const Case c(M, IC, OC);
  const std::vector<float> dy = floats(c.dy);
  std::vector<float> x = floats(c.x), weight = floats(c.weight), dx(x.size()), dweight(weight.size());
  Tape tape;
  const Tensor data(x.data(), {M, IC});
  const Tensor X = tape.leaf(x.data(), dx.data(), {M, IC}, LeafGradient::overwrite);
  const Tensor frozen(weight.data(), {OC, IC});
  const Tensor W = tape.leaf(weight.data(), dweight.data(), {OC, IC}, LeafGradient::overwrite);
  const Tensor y = linear(tape, data, W, Tensor{});
  std::vector<double> without_bias = c.y;
  for (std::size_t i = 0; i < without_bias.size(); ++i) without_bias[i] -= c.bias[i % c.bias.size()];
  check_close("y", std::span<const float>(y.f32(), dy.size()), without_bias, kFloatTolerance);
  const Tensor first = dot(tape, y, dy.data());
  const Tensor second = dot(tape, linear(tape, X, W, Tensor{}), dy.data());
  const Tensor third = dot(tape, linear(tape, X, frozen, Tensor{}), dy.data());
  const Tensor loss = tape.output({}, {first, second, third});
  *loss.f32() = first.item() + second.item() + third.item();
  tape.record("sum", {loss}, {first, second, third}, [=](Gradients& gradients) {
    for (const Tensor& t : {first, second, third}) *gradients.sum_into(t) += *gradients.of(loss);
  });
  tape.backward(loss);
  std::vector<double> twice_dx = c.dx, twice_dweight = c.dweight;
  for (double& v : twice_dx) v *= 2;
  for (double& v : twice_dweight) v *= 2;
  check_close("dx", dx, twice_dx, kFloatTolerance);
  check_close("dweight", dweight, twice_dweight, kFloatTolerance);
}

TEST_CASE("linear: 1 and 4 threads give the same bits") {
  const RestoreThreads restore;
  const Case c(130, 100, 600);
  const auto run = [&](int count) {
    set_threads(count);
    std::vector<float> x = floats(c.x), weight = floats(c.weight), bias = floats(c.bias), dy = floats(c.dy);
    std::vector<float> gradients(x.size() + weight.size() + bias.size());
    float* dweight = gradients.data() + x.size();
    Tape tape;
    const Tensor X = tape.leaf(x.data(), gradients.data(), {c.M, c.IC}, LeafGradient::overwrite);
    const Tensor W = tape.leaf(weight.data(), dweight, {c.OC, c.IC}, LeafGradient::overwrite);
    const Tensor B = tape.leaf(bias.data(), dweight + weight.size(), {c.OC}, LeafGradient::overwrite);
    tape.backward(dot(tape, linear(tape, X, W, B), dy.data()));
    return gradients;
  };
  const std::vector<float> one = run(1), four = run(4);
  CHECK(std::memcmp(one.data(), four.data(), one.size() * sizeof(float)) == 0);
}

// The packed copies of a weight, for bf16.
struct PackedWeight {
  Pages forward, backward;

  PackedWeight(const std::vector<float>& w, std::int64_t OC, std::int64_t IC)
      : forward(static_cast<std::size_t>(packed_b_count(OC, IC)) * sizeof(bf16)),
        backward(static_cast<std::size_t>(packed_b_count(IC, OC)) * sizeof(bf16)) {
    for (std::int64_t o = 0; o < OC; o += kWeightRows) {  // strip by strip, as the optimiser does
      pack_weight_rows(data(forward), data(backward), w.data(), OC, IC, o, std::min(OC, o + kWeightRows));
    }
  }
  Weight of(const Tensor& values) const { return {values, data(forward), data(backward)}; }
  static bf16* data(const Pages& pages) { return reinterpret_cast<bf16*>(pages.data()); }
};

// bf16 can hold the inputs exactly. The errors come from rounding the results, and from sums of products that
// cancel.
constexpr Tolerance kBf16Tolerance{1e-3, kBf16Rounding};

TEST_CASE("linear: in bf16, result and gradients agree with the reference up to rounding") {
  for_each_isa([] {
    for (const auto& [M, IC, OC] : {std::array<std::int64_t, 3>{4, 5, 3}, {70, 33, 300}, {16, 64, 48}}) {
      Case c(M, IC, OC);
      c.x = as_doubles(random_bf16s(M * IC, 1)), c.weight = as_doubles(random_bf16s(OC * IC, 2));
      c.dy = as_doubles(random_bf16s(M * OC, 4));
      c.forward();
      for (auto* sums : {&c.dx, &c.dweight, &c.dbias}) std::fill(sums->begin(), sums->end(), 0.0);
      reference::linear_backward({c.dx.data(), c.dweight.data(), c.dbias.data()}, c.dy.data(), c.x.data(),
                                 c.weight.data(), M, IC, OC);
      std::vector<float> x = floats(c.x), weight = floats(c.weight), bias = floats(c.bias), dy = floats(c.dy);
      const PackedWeight packed(weight, OC, IC);
      for (const bool residual : {false, true}) {
        INFO("M = " << M << (residual ? ", with a residual" : ""));
        std::vector<float> dx(x.size(), NAN), dweight(weight.size(), NAN), dbias(bias.size(), NAN);
        std::vector<float> before = random_floats(M * OC, 6), dbefore(before.size(), NAN);
        Tape tape;
        const Tensor X = narrowed(tape, tape.leaf(x.data(), dx.data(), {M, IC}, LeafGradient::overwrite));
        const Tensor W = tape.leaf(weight.data(), dweight.data(), {OC, IC}, LeafGradient::overwrite);
        const Tensor B = tape.leaf(bias.data(), dbias.data(), {OC}, LeafGradient::overwrite);
        const Tensor R = tape.leaf(before.data(), dbefore.data(), {M, OC}, LeafGradient::overwrite);
        const Tensor y =
            residual ? linear_add(tape, R, X, packed.of(W), B) : linear(tape, X, packed.of(W), B);
        CHECK(y.dtype() == (residual ? DType::f32 : DType::bf16));
        std::vector<double> want = c.y;
        for (std::size_t i = 0; i < want.size() && residual; ++i) want[i] += static_cast<double>(before[i]);
        if (residual) {
          check_close("y", std::span<const float>(y.f32(), want.size()), want, kFloatTolerance);
        } else {
          check_close("y", std::span<const bf16>(y.data<bf16>(), want.size()), want, kBf16Tolerance);
        }
        tape.backward(dot(tape, y, dy.data()));
        check_close("dx", dx, c.dx, kBf16Tolerance);
        check_close("dweight", dweight, c.dweight, kFloatTolerance);
        check_close("dbias", dbias, c.dbias, kFloatTolerance);
        if (residual) CHECK(dbefore == dy);
      }
    }
  });
}

TEST_CASE("linear_add: in f32, the residual is added and gets the gradient unchanged") {
  const std::int64_t M = 5, IC = 6, OC = 7;
  const Case c(M, IC, OC);
  std::vector<float> x = floats(c.x), weight = floats(c.weight), bias = floats(c.bias), dy = floats(c.dy);
  std::vector<float> dx(x.size()), before = random_floats(M * OC, 6), dbefore(before.size(), NAN);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {M, IC}, LeafGradient::overwrite);
  const Tensor R = tape.leaf(before.data(), dbefore.data(), {M, OC}, LeafGradient::overwrite);
  const Tensor y = linear_add(tape, R, X, Tensor(weight.data(), {OC, IC}), Tensor(bias.data(), {OC}));
  std::vector<double> want = c.y;
  for (std::size_t i = 0; i < want.size(); ++i) want[i] += static_cast<double>(before[i]);
  check_close("y", std::span<const float>(y.f32(), want.size()), want, kFloatTolerance);
  tape.backward(dot(tape, y, dy.data()));
  check_close("dx", dx, c.dx, kFloatTolerance);
  CHECK(dbefore == dy);
  CHECK_THROWS_WITH(linear_add(tape, X, X, Tensor(weight.data(), {OC, IC}), Tensor{}),
                    contains("linear_add: residual is (5, 6), expected a contiguous (5, 7)"));
}

TEST_CASE("linear: errors name wrong shapes") {
  std::vector<float> memory(100);
  Tape tape;
  const Tensor x(memory.data(), {2, 3, 4}), weight(memory.data(), {5, 4}), bias(memory.data(), {5});
  CHECK_THROWS_WITH(linear(tape, x, x, bias), contains("linear: weight is (2, 3, 4), expected (OC, IC=4)"));
  CHECK_THROWS_WITH(linear(tape, x, weight.transpose(0, 1), bias),
                    contains("weight is (4, 5), expected (OC, IC=4)"));
  CHECK_THROWS_WITH(linear(tape, x, weight, weight), contains("linear: bias is (5, 4), expected (OC=5)"));
  CHECK_THROWS_WITH(linear(tape, x.transpose(0, 1), weight, bias), contains("(3, 2, 4) is not contiguous"));
  const Tensor half = tape.output({2, 4}, {}, DType::bf16);
  CHECK_THROWS_WITH(linear(tape, half, weight, bias), contains("x is bf16 and weight (5, 4) is not packed"));
}

TEST_CASE("linear: for IC = 0 every row is the bias, and the bias gets the gradients of all rows") {
  std::vector<float> bias{1, 2}, dbias(2), dy(6, 1.0f);
  float nothing = 0;
  Tape tape;
  const Tensor b = tape.leaf(bias.data(), dbias.data(), {2}, LeafGradient::overwrite);
  const Tensor y = linear(tape, Tensor(&nothing, {3, 0}), Tensor(&nothing, {2, 0}), b);
  CHECK(std::vector<float>(y.f32(), y.f32() + 6) == std::vector<float>{1, 2, 1, 2, 1, 2});
  tape.backward(dot(tape, y, dy.data()));
  CHECK(dbias == std::vector<float>{3, 3});
}

TEST_CASE(
    "linear: a weight that is packed only for forward, or has 8 bits, is an error if backward needs it") {
  const std::int64_t C = 4, V = 8;
  std::vector<float> x(C), dx(C), w(static_cast<std::size_t>(V * C)), dw(w.size());
  std::vector<bf16> packed(static_cast<std::size_t>(packed_b_count(V, C)));
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {1, C}, LeafGradient::overwrite);
  const Weight once{Tensor(w.data(), {V, C}), packed.data(), nullptr};
  CHECK_THROWS_WITH(linear(tape, X, once, Tensor{}),
                    contains("linear: weight (8, 4) was packed without the copy that backward needs"));
  CHECK_NOTHROW(linear(tape, X.detach(), once, Tensor{}));
  std::vector<std::int8_t> q(static_cast<std::size_t>(int8_bytes(V, C)));
  std::vector<float> scales(static_cast<std::size_t>(V), 1.0f);
  const Weight quantised{Tensor(w.data(), {V, C}), Int8Matrix{q.data(), scales.data(), V, C}};
  CHECK_THROWS_WITH(linear(tape, X, quantised, Tensor{}),
                    contains("has 8 bits, expected f32 or bf16: weights of 8 bits have no backward"));
  const Tensor W = tape.leaf(w.data(), dw.data(), {V, C}, LeafGradient::overwrite);
  const Weight learned{W, Int8Matrix{q.data(), scales.data(), V, C}};  // only the weight has a gradient
  CHECK_THROWS_WITH(linear(tape, X.detach(), learned, Tensor{}),
                    contains("weights of 8 bits have no backward"));
}

TEST_CASE("linear: an error names an argument with a wrong dtype") {
  Zeros zeros;
  Tape tape;
  CHECK_THROWS_WITH(linear(tape, zeros.i32({2, 4}), zeros.f32({3, 4}), Tensor{}),
                    contains("linear: x (2, 4): dtype is i32, expected f32 or bf16"));
  CHECK_THROWS_WITH(linear(tape, zeros.f32({2, 4}), zeros.bf16({3, 4}), Tensor{}),
                    contains("linear: weight (3, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(linear(tape, zeros.f32({2, 4}), zeros.f32({3, 4}), zeros.bf16({3})),
                    contains("linear: bias (3): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(linear_add(tape, zeros.bf16({2, 3}), zeros.f32({2, 4}), zeros.f32({3, 4}), Tensor{}),
                    contains("linear_add: residual (2, 3): dtype is bf16, expected f32"));
}

}  // namespace
}  // namespace inkling
