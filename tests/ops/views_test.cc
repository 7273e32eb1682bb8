// Views share the gradient of their tensor. contiguous() copies a view, and its backward adds the gradient of
// the copy to the viewed elements.
#include "ops/views.h"

#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::vector<float> counting(std::int64_t n) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  return x;
}

TEST_CASE("views: contiguous copies the right elements, for slices and transposes of four axes") {
  std::vector<float> x = counting(3 * 4 * 5 * 6), dx(x.size(), NAN);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {3, 4, 5, 6}, LeafGradient::overwrite);
  CHECK(contiguous(tape, X).f32() == x.data());
  const Tensor view = X.transpose(1, 3).slice(3, 1, 4).slice(0, 1, 3);  // (2, 6, 5, 3)
  const Tensor y = contiguous(tape, view);
  REQUIRE(y.shape() == Shape{2, 6, 5, 3});
  std::vector<float> dy = random_floats(y.numel(), 1), want(x.size());
  bool right = true;
  std::size_t i = 0;
  for (std::size_t b = 0; b < 2; ++b) {
    for (std::size_t l = 0; l < 6; ++l) {
      for (std::size_t k = 0; k < 5; ++k) {
        for (std::size_t j = 0; j < 3; ++j, ++i) {
          const std::size_t place = (((b + 1) * 4 + j + 1) * 5 + k) * 6 + l;
          right = right && y.f32()[i] == x[place];
          want[place] = dy[i];
        }
      }
    }
  }
  CHECK(right);
  tape.backward(dot(tape, y, dy.data()));
  CHECK(dx == want);
}

TEST_CASE(
    "views: the transpose kernel is right at every size, on every instruction set, and can accumulate") {
  for_each_isa([] {
    for (std::int64_t rows : odd_sizes()) {
      for (std::int64_t columns : {1, 3, 4, 5, 16, 33}) {
        const std::int64_t in_stride = columns + 3, out_stride = rows + 2;
        const std::vector<float> in = random_floats(rows * in_stride, 1);
        const std::vector<float> before = random_floats(columns * out_stride, 2);
        for (const bool accumulate : {false, true}) {
          std::vector<float> want = before;
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t c = 0; c < columns; ++c) {
              float& element = want[static_cast<std::size_t>(c * out_stride + r)];
              element = (accumulate ? element : 0.0f) + in[static_cast<std::size_t>(r * in_stride + c)];
            }
          }
          Guarded out(before, rows % 7);
          kernels().transpose(out.data(), out_stride, in.data(), in_stride, rows, columns, accumulate);
          INFO(rows << " x " << columns << (accumulate ? ", added" : ""));
          CHECK(std::ranges::equal(out.values(), want));
          out.check();
        }
      }
    }
  });
}

TEST_CASE("views: large transposes, which are cut into blocks, and their gradients are right") {
  for (const Shape shape : {Shape{300, 140}, Shape{2, 131, 3, 257}}) {
    std::vector<float> x = counting(shape.numel()), dx(x.size(), NAN);
    Tape tape;
    const Tensor X = tape.leaf(x.data(), dx.data(), shape, LeafGradient::overwrite);
    const int rows = shape.rank == 2 ? 0 : 1, columns = shape.rank - 1;
    const Tensor view = X.transpose(rows, columns);
    const Tensor y = contiguous(tape, view);
    // Transposed again, y gives the original tensor.
    const Tensor back = contiguous(tape, y.transpose(rows, columns));
    CHECK(std::equal(x.begin(), x.end(), back.f32()));
    CHECK(y.f32()[1] == x[static_cast<std::size_t>(view.stride(columns))]);
    const std::vector<float> dback = random_floats(back.numel(), 3);
    tape.backward(dot(tape, back, dback.data()));
    CHECK(dx == dback);
  }
}

TEST_CASE("views: the gradient of a reshaped tensor is the gradient of the tensor itself") {
  std::vector<float> x = random_floats(24, 1), dx(24, NAN), dy = random_floats(24, 2);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {2, 3, 4}, LeafGradient::overwrite);
  const Tensor y = scale(tape, X.reshape({6, 4}), 2.0f).reshape({4, 6});
  tape.backward(dot(tape, y, dy.data()));
  for (std::size_t i = 0; i < 24; ++i) CHECK(dx[i] == 2 * dy[i]);
}

TEST_CASE("views: gradients of overlapping slices add up, and elements in no slice have gradient zero") {
  std::vector<float> x = random_floats(10, 1), dx(10, NAN);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {10}, LeafGradient::overwrite);
  const Tensor h = scale(tape, X, 1.0f);  // so the slices are of an activation, not of a leaf
  const Tensor a = sum(tape, h.slice(0, 1, 5)), b = sum(tape, scale(tape, h.slice(0, 3, 8), 10.0f));
  tape.backward(add(tape, a, b));
  const std::vector<float> want = {0, 1, 1, 11, 11, 10, 10, 10, 0, 0};
  CHECK(dx == want);
}

TEST_CASE("views: a tensor and its transpose, or two overlapping slices, may be operands of one op") {
  const std::size_t n = 70;
  std::vector<float> x = random_floats(70 * 70, 1), dx(x.size(), NAN), dy = random_floats(70 * 70, 2);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {70, 70}, LeafGradient::overwrite);
  tape.backward(dot(tape, mul(tape, X, X.transpose(0, 1)), dy.data()));
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double want = static_cast<double>(x[j * n + i]) *
                          (static_cast<double>(dy[i * n + j]) + static_cast<double>(dy[j * n + i]));
      worst = std::max(worst, std::abs(static_cast<double>(dx[i * n + j]) - want));
    }
  }
  CHECK(worst < 1e-5);

  std::vector<float> v = random_floats(40001, 3), dv(v.size(), NAN), d = random_floats(40000, 4);
  Tape second;
  const Tensor Y = second.leaf(v.data(), dv.data(), {40001}, LeafGradient::overwrite);
  second.backward(dot(second, sub(second, Y.slice(0, 1, 40001), Y.slice(0, 0, 40000)), d.data()));
  bool right = dv[0] == -d[0] && dv[40000] == d[39999];
  for (std::size_t i = 1; i < 40000; ++i) right = right && dv[i] == d[i - 1] - d[i];
  CHECK(right);
}

TEST_CASE("views: ops take strided operands and broadcast them") {
  std::vector<float> x = counting(6), dx(6, NAN), row = {10, 20};
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {2, 3}, LeafGradient::overwrite);
  const Tensor y = mul(tape, X.transpose(0, 1), Tensor(row.data(), {2}));  // (3, 2)
  const std::vector<float> want = {0, 60, 10, 80, 20, 100};
  CHECK(std::vector<float>(y.f32(), y.f32() + 6) == want);
  tape.backward(sum(tape, y));
  CHECK(dx == std::vector<float>{10, 10, 10, 20, 20, 20});
}

}  // namespace
}  // namespace inkling
