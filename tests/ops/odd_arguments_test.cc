// Arguments at the limits of an op and beyond: empty sums, no rows, a wrong dtype, and a weight without the
// packed copy that the op needs.
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/gemm/gemv_int8.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"
#include "ops/softmax.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("shape: the leading axes are all but the last") {
  CHECK(Shape{2, 3, 4}.leading() == Shape{2, 3});
  CHECK(Shape{4}.leading() == Shape{});
  CHECK(Shape{}.leading() == Shape{});
  CHECK(Shape{3, 0}.leading().numel() == 3);
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
  const Tensor c = matmul(tape, Tensor(&nothing, {3, 0}), Tensor(&nothing, {0, 2}));
  CHECK(std::vector<float>(c.f32(), c.f32() + 6) == std::vector<float>(6));
}

TEST_CASE("linear_token_losses: without rows nothing is written") {
  float nothing = 0;
  std::int32_t no_target = 0;
  std::vector<float> wte = random_floats(8 * 4, 1);
  CHECK_NOTHROW(linear_token_losses(&nothing, Tensor(&nothing, {0, 4}), Tensor(wte.data(), {8, 4}),
                                    Tensor(&no_target, {0}), 8));
  CHECK(nothing == 0.0f);
}

TEST_CASE("linear: a weight that is packed only for forward is an error if x has a gradient") {
  const std::int64_t C = 4, V = 8;
  std::vector<float> x(C), dx(C), w(static_cast<std::size_t>(V * C));
  std::vector<bf16> packed(static_cast<std::size_t>(packed_b_count(V, C)));
  std::int32_t target = 0;
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {1, C}, LeafGradient::overwrite);
  const Weight once{Tensor(w.data(), {V, C}), packed.data(), nullptr};
  CHECK_THROWS_WITH(linear(tape, X, once, Tensor{}),
                    contains("linear: weight (8, 4) was packed without the copy that backward needs"));
  CHECK_THROWS_WITH(linear_cross_entropy(tape, X, once, Tensor(&target, {1}), V),
                    contains("linear_cross_entropy: wte (8, 4) was packed without the copy"));
  CHECK_NOTHROW(linear(tape, X.detach(), once, Tensor{}));
  std::vector<std::int8_t> q(static_cast<std::size_t>(int8_bytes(V, C)));
  std::vector<float> scales(static_cast<std::size_t>(V), 1.0f);
  const Weight quantised{Tensor(w.data(), {V, C}), Int8Matrix{q.data(), scales.data(), V, C}};
  CHECK_THROWS_WITH(linear_cross_entropy(tape, X, quantised, Tensor(&target, {1}), V),
                    contains("linear_cross_entropy: wte (8, 4) has 8 bits, expected f32 or bf16"));
  CHECK_THROWS_WITH(linear(tape, X, quantised, Tensor{}),
                    contains("has 8 bits, expected f32 or bf16: weights of 8 bits have no backward"));
  std::vector<float> dw(w.size());
  const Tensor W = tape.leaf(w.data(), dw.data(), {V, C}, LeafGradient::overwrite);
  const Weight learned{W, Int8Matrix{q.data(), scales.data(), V, C}};  // only the weight has a gradient
  CHECK_THROWS_WITH(linear(tape, X.detach(), learned, Tensor{}),
                    contains("weights of 8 bits have no backward"));
  CHECK_THROWS_WITH(linear_cross_entropy(tape, X.detach(), learned, Tensor(&target, {1}), V),
                    contains("has 8 bits, expected f32 or bf16"));
}

TEST_CASE("ops: an error names an argument with a wrong dtype before anything is computed") {
  std::vector<float> numbers(64);
  std::vector<std::int32_t> whole(64);
  std::vector<bf16> halves(64);
  Tape tape;
  const auto f = [&](Shape shape) { return Tensor(numbers.data(), shape); };
  const auto i = [&](Shape shape) { return Tensor(whole.data(), shape); };
  const auto h = [&](Shape shape) { return Tensor(halves.data(), shape); };
  CHECK_THROWS_WITH(linear(tape, i({2, 4}), f({3, 4}), Tensor{}),
                    contains("linear: x (2, 4): dtype is i32, expected f32 or bf16"));
  CHECK_THROWS_WITH(linear(tape, f({2, 4}), h({3, 4}), Tensor{}),
                    contains("linear: weight (3, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(linear(tape, f({2, 4}), f({3, 4}), h({3})),
                    contains("linear: bias (3): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(linear_add(tape, h({2, 3}), f({2, 4}), f({3, 4}), Tensor{}),
                    contains("linear_add: residual (2, 3): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(linear_cross_entropy(tape, i({2, 4}), f({8, 4}), i({2}), 8),
                    contains("linear_cross_entropy: x (2, 4): dtype is i32, expected f32 or bf16"));
  CHECK_THROWS_WITH(linear_token_losses(numbers.data(), f({2, 4}), f({8, 4}), f({2}), 8),
                    contains("linear_token_losses: targets (2): dtype is f32, expected i32"));
  CHECK_THROWS_WITH(cross_entropy(tape, h({2, 4}), i({2}), 4),
                    contains("cross_entropy: logits (2, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(embedding(tape, h({8, 4}), f({8, 4}), i({1, 2}), 8),
                    contains("embedding: wte (8, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(embedding(tape, f({8, 4}), h({8, 4}), i({1, 2}), 8),
                    contains("embedding: wpe (8, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(embedding(tape, f({8, 4}), f({8, 4}), f({1, 2}), 8),
                    contains("embedding: ids (1, 2): dtype is f32, expected i32"));
  CHECK_THROWS_WITH(gather(tape, i({8, 4}), i({2})),
                    contains("gather: table (8, 4): dtype is i32, expected f32"));
  CHECK_THROWS_WITH(pick(tape, h({2, 4}), i({2})), contains("pick: x (2, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(layernorm(tape, h({2, 4}), f({4}), f({4})),
                    contains("layernorm: x (2, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(layernorm(tape, f({2, 4}), f({4}), i({4})),
                    contains("layernorm: bias (4): dtype is i32, expected f32"));
  // A tensor without elements has no task that could find the wrong dtype.
  CHECK_THROWS_WITH(add(tape, h({0, 4}), f({0, 4})), contains("add: a (0, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(mul(tape, f({0, 4}), i({0, 4})), contains("mul: b (0, 4): dtype is i32, expected f32"));
  CHECK_THROWS_WITH(exp(tape, i({0, 4})), contains("exp: x (0, 4): dtype is i32, expected f32"));
  CHECK_THROWS_WITH(softmax(tape, h({0, 4})), contains("softmax: x (0, 4): dtype is bf16, expected f32"));
}

}  // namespace
}  // namespace inkling
