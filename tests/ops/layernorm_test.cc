// Layer normalisation: formula -> reference -> SIMD -> op.
#include "ops/layernorm.h"

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The sums of a row of C <= 768 floats differ from double by a few units in the last place.
constexpr Tolerance kFloatTolerance{2e-5, 2e-5};
// Digits are lost in the differences x - mean and g - mean(g) - n mean(gn).
constexpr Tolerance kBackwardTolerance{1e-4, 1e-4};
constexpr Tolerance kBf16Tolerance{2e-5, kBf16Rounding + 2e-5};

struct Case {
  std::int64_t rows, C;
  std::vector<double> x, weight, bias, dy;
  std::vector<double> y, mean, rstd, dx, dweight, dbias;

  Case(std::int64_t rows_, std::int64_t C_) : rows(rows_), C(C_) {
    // doubles that float can hold, so that float kernels get exactly the same input
    x = as_doubles(random_floats(rows * C, 1, 2.0));
    weight = as_doubles(random_floats(C, 2));
    bias = as_doubles(random_floats(C, 3));
    dy = as_doubles(random_bf16s(rows * C, 4));  // bf16 kernels get the same dy, too
    const auto n = static_cast<std::size_t>(rows * C), r = static_cast<std::size_t>(rows),
               c = static_cast<std::size_t>(C);
    y.resize(n), mean.resize(r), rstd.resize(r), dx.resize(n), dweight.resize(c), dbias.resize(c);
    forward();
    reference::layernorm_backward<double>({dx.data(), dweight.data(), dbias.data(), dy.data(), x.data(),
                                           weight.data(), mean.data(), rstd.data(), rows, C, false});
  }
  double forward() {
    reference::layernorm_forward<double>(
        {y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows, C});
    return dot(y, dy);
  }
};

TEST_CASE("layernorm: the backward formula is the derivative of the forward formula") {
  for (std::int64_t C : {1, 2, 7, 16}) {
    Case c(3, C);
    // With C = 1 the variance is 0 and the output is the bias, so dx and dweight are 0.
    gradcheck("x", c.x, c.dx, [&] { return c.forward(); });
    gradcheck("weight", c.weight, c.dweight, [&] { return c.forward(); });
    gradcheck("bias", c.bias, c.dbias, [&] { return c.forward(); });
  }
}

TEST_CASE("layernorm: every instruction set agrees with the reference at every width and alignment") {
  for_each_isa([] {
    for (std::int64_t C : odd_sizes()) {
      const std::int64_t rows = 3, shift = C % 5;
      INFO("C = " << C);
      const Case c(rows, C);
      const std::vector<float> weight = floats(c.weight), bias = floats(c.bias);
      Guarded x(floats(c.x), shift), dy(floats(c.dy), shift), y(rows * C, shift), mean(rows), rstd(rows);
      const KernelsOf<float>& kernel = kernels().of<float>();
      kernel.layernorm_forward(
          {y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows, C});
      check_close("y", y.values(), c.y, kFloatTolerance);
      Guarded dweight(C), dbias(C), assigned(rows * C, shift, NAN), accumulated(rows * C, shift, 1.0f);
      LayerNormBackward<float, float> backward{
          assigned.data(), dweight.data(), dbias.data(), dy.data(), x.data(), weight.data(),
          mean.data(),     rstd.data(),    rows,         C,         false};
      kernel.layernorm_backward(backward);
      check_close("dx", assigned.values(), c.dx, kBackwardTolerance);
      check_close("dweight", dweight.values(), c.dweight, kFloatTolerance);
      check_close("dbias", dbias.values(), c.dbias, kFloatTolerance);
      backward.dx = accumulated.data(), backward.accumulate = true;
      kernel.layernorm_backward(backward);
      std::vector<double> plus_one = c.dx;
      for (double& v : plus_one) v += 1;
      check_close("dx accumulated", accumulated.values(), plus_one, kBackwardTolerance);
      for (const Guarded* g : {&y, &mean, &rstd, &dweight, &dbias, &assigned, &accumulated}) g->check();
    }
  });
}

TEST_CASE("layernorm: with y and dy in bf16, y is rounded once and the gradients are not") {
  for_each_isa([] {
    for (std::int64_t C : odd_sizes()) {
      const std::int64_t rows = 3, shift = C % 5;
      INFO("C = " << C);
      const Case c(rows, C);
      const std::vector<float> weight = floats(c.weight), bias = floats(c.bias);
      Guarded x(floats(c.x), shift), mean(rows), rstd(rows);
      GuardedBf16 dy(to_bf16(floats(c.dy)), shift), y(rows * C, shift);
      const KernelsOf<bf16>& kernel = kernels().of<bf16>();
      kernel.layernorm_forward(
          {y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows, C});
      check_close("y", y.values(), c.y, kBf16Tolerance);
      Guarded dweight(C), dbias(C), dx(rows * C, shift, 1.0f);
      kernel.layernorm_backward({dx.data(), dweight.data(), dbias.data(), dy.data(), x.data(), weight.data(),
                                 mean.data(), rstd.data(), rows, C, true});
      check_close("dweight", dweight.values(), c.dweight, kFloatTolerance);
      check_close("dbias", dbias.values(), c.dbias, kFloatTolerance);
      std::vector<double> plus_one = c.dx;
      for (double& v : plus_one) v += 1;
      check_close("dx accumulated", dx.values(), plus_one, kBackwardTolerance);
      y.check();
      for (const Guarded* g : {&mean, &rstd, &dweight, &dbias, &dx}) g->check();
    }
  });
}

TEST_CASE("layernorm: the op's gradients agree with the reference, and errors name wrong shapes") {
  const std::int64_t rows = 70, C = 33;  // more than two chunks of rows
  const Case c(rows, C);
  std::vector<float> x = floats(c.x), weight = floats(c.weight), bias = floats(c.bias), dy = floats(c.dy);
  std::vector<float> dx(x.size()), dweight(weight.size()), dbias(bias.size());
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {7, 10, C}, LeafGradient::overwrite);
  const Tensor W = tape.leaf(weight.data(), dweight.data(), {C}, LeafGradient::overwrite);
  const Tensor B = tape.leaf(bias.data(), dbias.data(), {C}, LeafGradient::overwrite);
  const Tensor y = layernorm(tape, X, W, B);
  check_close("y", std::span<const float>(y.f32(), x.size()), c.y, kFloatTolerance);
  const Tensor loss = dot(tape, y, dy.data());
  tape.backward(loss);
  check_close("dx", std::span<const float>(dx), c.dx, kBackwardTolerance);
  check_close("dweight", std::span<const float>(dweight), c.dweight, kBackwardTolerance);
  check_close("dbias", std::span<const float>(dbias), c.dbias, kBackwardTolerance);
  CHECK_THROWS_WITH(layernorm(tape, X, X, B), contains("layernorm: weight is (7, 10, 33), expected (C=33)"));
  CHECK_THROWS_WITH(layernorm(tape, X, W, B, DType::i32), contains("layernorm: out is i32, expected"));
}

TEST_CASE("layernorm: the op can give a bf16 result, and its gradients stay f32") {
  const std::int64_t rows = 70, C = 33;
  const Case c(rows, C);
  std::vector<float> x = floats(c.x), weight = floats(c.weight), bias = floats(c.bias), dy = floats(c.dy);
  std::vector<float> dx(x.size()), dweight(weight.size()), dbias(bias.size());
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {rows, C}, LeafGradient::overwrite);
  const Tensor W = tape.leaf(weight.data(), dweight.data(), {C}, LeafGradient::overwrite);
  const Tensor B = tape.leaf(bias.data(), dbias.data(), {C}, LeafGradient::overwrite);
  const Tensor y = layernorm(tape, X, W, B, DType::bf16);
  check_close("y", std::span<const bf16>(y.data<bf16>(), x.size()), c.y, kBf16Tolerance);
  tape.backward(dot(tape, y, dy.data()));
  check_close("dx", std::span<const float>(dx), c.dx, kBackwardTolerance);
  check_close("dweight", std::span<const float>(dweight), c.dweight, kBackwardTolerance);
  check_close("dbias", std::span<const float>(dbias), c.dbias, kBackwardTolerance);
}

TEST_CASE("layernorm: an error names an argument with a wrong dtype") {
  Zeros zeros;
  Tape tape;
  CHECK_THROWS_WITH(layernorm(tape, zeros.bf16({2, 4}), zeros.f32({4}), zeros.f32({4})),
                    contains("layernorm: x (2, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(layernorm(tape, zeros.f32({2, 4}), zeros.f32({4}), zeros.i32({4})),
                    contains("layernorm: bias (4): dtype is i32, expected f32"));
}

}  // namespace
}  // namespace inkling
