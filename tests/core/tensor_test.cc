// Tensor: views, and errors that name the shapes.
#include "core/tensor.h"

#include "core/error.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("tensor: a shape counts its elements and rows and prints as a tuple; wrong shapes are errors") {
  const Shape s{4, 64, 768};
  CHECK(s.numel() == 4 * 64 * 768);
  CHECK(s.back() == 768);
  CHECK(s.rows() == 256);
  CHECK(str(s) == "(4, 64, 768)");
  CHECK(str(Shape{}) == "()");
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{}.rows() == 1);
  CHECK(Shape{3, 0}.rows() == 0);
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{2} == Shape{2, 1});
  CHECK_THROWS_WITH((Shape{1, 2, 3, 4, 5}), contains("got 5 dimensions, expected at most 4"));
  CHECK_THROWS_WITH((Shape{1, -2}), contains("dimension 1 is -2"));
}

TEST_CASE("tensor: views refer to the right elements") {
  std::vector<float> x(24);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const Tensor t(x.data(), {2, 3, 4});
  CHECK(t.contiguous());
  CHECK(t.stride(0) == 12);
  CHECK(t.stride(1) == 4);
  CHECK(t.stride(2) == 1);

  const Tensor swapped = t.transpose(0, 2);  // (4, 3, 2)
  CHECK(swapped.shape() == Shape{4, 3, 2});
  CHECK(swapped.stride(0) == 1);
  CHECK(swapped.stride(2) == 12);
  CHECK_FALSE(swapped.contiguous());
  CHECK(swapped.transpose(2, 0).contiguous());
  for (std::int64_t i = 0; i < 24; ++i) {
    const std::int64_t a = i / 12, b = i / 4 % 3, c = i % 4;
    CHECK(swapped.f32()[c * swapped.stride(0) + b * swapped.stride(1) + a * swapped.stride(2)] ==
          static_cast<float>(i));
  }

  const Tensor part = t.slice(1, 1, 3);  // (2, 2, 4)
  CHECK(part.shape() == Shape{2, 2, 4});
  CHECK(*part.f32() == 4.0f);
  CHECK_FALSE(part.contiguous());
  CHECK(part.slice(0, 1, 2).contiguous());
  CHECK(*part.slice(0, 1, 2).slice(2, 3, 4).f32() == 19.0f);
  CHECK(t.slice(0, 2, 2).numel() == 0);

  CHECK(t.reshape({6, 4}).shape() == Shape{6, 4});
  CHECK(t.reshape({-1, 8}).shape() == Shape{3, 8});
  CHECK(t.reshape({2, -1, 2}).shape() == Shape{2, 6, 2});
  CHECK(t.slice(0, 1, 2).reshape({12}).f32() == x.data() + 12);
}

TEST_CASE("tensor: views keep dtype and gradient slot; detach() removes the slot") {
  std::vector<std::int32_t> ids(6);
  const Tensor i(ids.data(), {2, 3});
  CHECK(i.slice(1, 1, 3).i32() == ids.data() + 1);
  std::vector<bf16> half(6);
  CHECK(Tensor(half.data(), {2, 3}).slice(0, 1, 2).data<bf16>() == half.data() + 3);
  std::vector<float> x(6);
  const Tensor t(x.data(), {2, 3}, DType::f32, 5);
  CHECK(t.transpose(0, 1).slot() == 5);
  CHECK(t.reshape({6}).slice(0, 1, 2).slot() == 5);
  CHECK_FALSE(t.detach().has_gradient());
  CHECK(t.detach().f32() == x.data());
  CHECK_FALSE(Tensor());
}

TEST_CASE("tensor: wrong views and dtypes are errors that name the shapes") {
  std::vector<float> x(24);
  const Tensor t(x.data(), {2, 3, 4});
  CHECK_THROWS_WITH(t.i32(), contains("tensor (2, 3, 4): dtype is f32, expected i32"));
  CHECK_THROWS_WITH(t.data<bf16>(), contains("expected bf16"));
  CHECK_THROWS_WITH(t.item(), contains("item: tensor (2, 3, 4) has 24 elements, expected 1"));
  CHECK(Tensor(x.data(), {1, 1}).item() == 0.0f);
  CHECK_THROWS_WITH(t.reshape({5, 5}), contains("(2, 3, 4) has 24 elements, but (5, 5) has 25"));
  CHECK_THROWS_WITH(t.reshape({-1, -1}), contains("has -1 twice"));
  CHECK_THROWS_WITH(t.reshape({-1, 7}), contains("has 24 elements"));
  CHECK_THROWS_WITH(t.transpose(0, 1).reshape({24}), contains("reshape: tensor (3, 2, 4) is not contiguous"));
  CHECK_THROWS_WITH(t.transpose(0, 3), contains("transpose: axis 3 of a tensor (2, 3, 4)"));
  CHECK_THROWS_WITH(t.slice(1, 2, 5), contains("slice: [2, 5) of axis 1 of a tensor (2, 3, 4)"));
  CHECK_THROWS_WITH(t.slice(1, 2, 1), contains("slice: [2, 1)"));
  CHECK_THROWS_WITH(t.slice(-1, 0, 1), contains("slice: axis -1"));
  CHECK_THROWS_WITH(Tensor(x.data(), {-1, 4}), contains("negative dimension"));
}

}  // namespace
}  // namespace inkling
