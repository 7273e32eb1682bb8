// Edge cases of shapes and views: no elements, axes of length 1, the last index, and four dimensions.
#include "core/error.h"
#include "core/tensor.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("tensor: a shape may have four dimensions and dimensions of 0; leading() drops the last one") {
  CHECK((Shape{1, 2, 3, 4}).numel() == 24);
  CHECK((Shape{1, 2, 3, 4}).rank == 4);
  CHECK((Shape{5, 0, 3}).numel() == 0);
  CHECK((Shape{5, 0, 3}).rows() == 0);
  CHECK((Shape{0, 3}).rows() == 0);
  CHECK((Shape{2, 3, 4}).leading() == Shape{2, 3});
  CHECK((Shape{4}).leading() == Shape{});
  CHECK(Shape{}.leading() == Shape{});
  CHECK((Shape{3, 0}.leading().numel() == 3));
  CHECK(Shape{}.back() == 1);
  CHECK((Shape{7, 9}).back() == 9);
  CHECK_FALSE(Shape{2, 3} == Shape{2, 4});
  CHECK_FALSE(Shape{} == Shape{1});
  CHECK_NOTHROW(Shape{-1, 0});  // allowed, because reshape takes -1 for a dimension that it computes
}

TEST_CASE("tensor: dtypes have their names and sizes") {
  CHECK(std::string(name(DType::f32)) == "f32");
  CHECK(std::string(name(DType::bf16)) == "bf16");
  CHECK(std::string(name(DType::i32)) == "i32");
  CHECK(size_bytes(DType::f32) == 4);
  CHECK(size_bytes(DType::bf16) == 2);
  CHECK(size_bytes(DType::i32) == 4);
  std::vector<float> x(6);
  std::vector<std::int32_t> ids(6);
  std::vector<bf16> half(6);
  CHECK(Tensor(x.data(), {6}).dtype() == DType::f32);
  CHECK(Tensor(ids.data(), {6}).dtype() == DType::i32);
  CHECK(Tensor(half.data(), {6}).dtype() == DType::bf16);
  CHECK_THROWS_WITH(Tensor(half.data(), {1}).item(), contains("tensor (1): dtype is bf16, expected f32"));
  CHECK_NOTHROW(check_dtype("op", "x", Tensor(x.data(), {2, 3}), DType::f32));
  CHECK_THROWS_WITH(check_dtype("op", "x", Tensor(x.data(), {2, 3}), DType::i32),
                    contains("op: x (2, 3): dtype is f32, expected i32"));
}

TEST_CASE(
    "tensor: an axis of length 1 is contiguous with any stride, a longer axis only with the right one") {
  std::vector<float> x(24);
  const Tensor t(x.data(), {2, 3, 4});
  CHECK(t.slice(2, 1, 2).transpose(1, 2).shape() == Shape{2, 1, 3});
  CHECK_FALSE(t.slice(2, 1, 2).contiguous());                          // 6 numbers at a distance of 4
  CHECK(t.slice(1, 1, 2).slice(0, 0, 1).contiguous());                 // one row of 4
  CHECK(t.slice(1, 1, 2).slice(2, 0, 1).slice(0, 1, 2).contiguous());  // one number
  CHECK(Tensor(x.data(), {24, 1}).transpose(0, 1).contiguous());
  CHECK(Tensor(x.data(), {3, 1, 8}).transpose(0, 1).contiguous());
  CHECK_FALSE(Tensor(x.data(), {3, 8}).transpose(0, 1).contiguous());
  CHECK(Tensor(x.data(), {}).contiguous());
}

TEST_CASE("tensor: a slice may reach the end of an axis, but not one past it") {
  std::vector<float> x(24);
  const Tensor t(x.data(), {2, 3, 4});
  CHECK(t.slice(1, 0, 3).shape() == t.shape());
  CHECK(t.slice(1, 3, 3).shape() == Shape{2, 0, 4});
  CHECK(t.slice(2, 3, 4).f32() == x.data() + 3);
  CHECK(t.slice(0, 1, 2).slice(1, 2, 3).slice(2, 3, 4).f32() == x.data() + 23);
  CHECK_THROWS_WITH(t.slice(1, 0, 4), contains("slice: [0, 4) of axis 1"));
  CHECK_THROWS_WITH(t.slice(1, -1, 2), contains("slice: [-1, 2) of axis 1"));
  CHECK_THROWS_WITH(t.slice(1, 3, 2), contains("slice: [3, 2) of axis 1"));
  CHECK_THROWS_WITH(t.slice(3, 0, 1), contains("slice: axis 3 of a tensor (2, 3, 4)"));
  CHECK_THROWS_WITH(t.transpose(-1, 0), contains("transpose: axis -1 of a tensor (2, 3, 4)"));
  CHECK_THROWS_WITH(t.transpose(3, 0), contains("transpose: axis 3 of a tensor (2, 3, 4)"));
  CHECK(t.transpose(1, 1).shape() == t.shape());
}

TEST_CASE("tensor: reshape computes a dimension given as -1, also for a tensor without elements") {
  std::vector<float> x(12);
  const Tensor t(x.data(), {3, 4}), none(x.data(), {0, 4});
  CHECK(t.reshape({-1}).shape() == Shape{12});
  CHECK(t.reshape({12, -1}).shape() == Shape{12, 1});
  CHECK(t.reshape({2, 3, 1, 2}).stride(0) == 6);
  CHECK(none.reshape({-1, 4}).shape() == Shape{0, 4});
  CHECK(none.reshape({7, 0}).shape() == Shape{7, 0});
  CHECK(none.reshape({0, -1}).shape() == Shape{0, 0});
  CHECK_THROWS_WITH(t.reshape({0, -1}), contains("(3, 4) has 12 elements, but (0, 0) has 0"));
  CHECK_THROWS_WITH(t.reshape({5, -1}), contains("(3, 4) has 12 elements, but (5, 2) has 10"));
  CHECK_THROWS_WITH(t.reshape({}), contains("(3, 4) has 12 elements, but () has 1"));
  CHECK(Tensor(x.data(), {1, 1}).reshape({}).rank() == 0);
}

TEST_CASE("errors: messages join their parts, and a UsageError is an Error") {
  CHECK(str("C=", 3, " is ", 2.5, ' ', std::string("odd")) == "C=3 is 2.5 odd");
  CHECK_THROWS_AS(fail("x"), Error);
  CHECK_THROWS_WITH(fail("got ", 3, ", expected ", 4), "got 3, expected 4");
  try {
    throw UsageError("no such flag");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "no such flag");
  }
}

}  // namespace
}  // namespace inkling
