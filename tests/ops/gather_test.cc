// gather, pick and the embedding: formula -> reference -> op.
#include "ops/gather.h"

#include "core/parallel.h"
#include "ops/embedding.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr Tolerance kExact{0, 0};  // forward only copies numbers
constexpr Tolerance kOneRounding{1e-7, 1e-7};
constexpr Tolerance kSums{1e-5, 1e-5};  // sums of about ten floats

TEST_CASE("gather, pick, embedding: the backward formulas are the derivatives of the forward formulas") {
  const std::int64_t V = 5, C = 3, B = 2, T = 4, N = B * T;
  const auto ids = random_ids(N, V);
  const auto sized = [](std::int64_t n) { return std::vector<double>(static_cast<std::size_t>(n)); };
  std::vector<double> table = random_values(V * C, 1), positions = random_values(T * C, 2),
                      x = random_values(N * V, 3);
  const std::vector<double> dy = random_values(N * C, 4);
  std::vector<double> y = sized(N * C), dtable = sized(V * C), dpositions = sized(T * C), dx = sized(N * V),
                      picked = sized(N);
  reference::gather_backward(dtable.data(), dy.data(), ids.data(), N, C);
  gradcheck("table", table, dtable, [&] {
    reference::gather_forward(y.data(), table.data(), ids.data(), N, C);
    return dot(y, dy);
  });
  reference::pick_backward(dx.data(), dy.data(), ids.data(), N, V);
  gradcheck("x", x, dx, [&] {
    reference::pick_forward(picked.data(), x.data(), ids.data(), N, V);
    return dot(picked, dy);
  });
  dtable = sized(V * C);
  reference::embedding_backward(dtable.data(), dpositions.data(), dy.data(), ids.data(), B, T, C);
  const auto embed = [&] {
    reference::embedding_forward(y.data(), table.data(), positions.data(), ids.data(), B, T, C);
    return dot(y, dy);
  };
  gradcheck("wte", table, dtable, embed);
  gradcheck("wpe", positions, dpositions, embed);
}

TEST_CASE("gather: rows and their gradients agree with the reference at every width, with repeated ids") {
  for_each_isa([] {
    for (std::int64_t C : odd_sizes()) {
      INFO("C = " << C);
      const std::int64_t V = 7, N = 60;
      auto ids = random_ids(N, V);
      const std::vector<double> table = as_doubles(random_floats(V * C, 1)),
                                dy = as_doubles(random_floats(N * C, 2));
      std::vector<double> y(dy.size()), dtable(table.size());
      reference::gather_forward(y.data(), table.data(), ids.data(), N, C);
      reference::gather_backward(dtable.data(), dy.data(), ids.data(), N, C);
      Guarded values(floats(table), C % 5), gradient(V * C, C % 5, NAN);
      std::vector<float> d = floats(dy);
      Tape tape;
      const Tensor W = tape.leaf(values.data(), gradient.data(), {V, C}, LeafGradient::overwrite);
      const Tensor out = gather(tape, W, Tensor(ids.data(), {3, 4, 5}));
      REQUIRE(out.shape() == Shape{3, 4, 5, C});
      check_close("y", std::span<const float>(out.f32(), y.size()), y, kExact);
      tape.backward(dot(tape, out, d.data()));
      check_close("dtable", gradient.values(), dtable, kSums);
      gradient.check();
    }
  });
}

TEST_CASE("gather: the gradient has the same bits on 1 to 4 threads") {
  const std::int64_t V = 50, N = 3000, C = 200;
  auto ids = random_ids(N, V);
  std::vector<float> table = random_floats(V * C, 1), dy = random_floats(N * C, 2);
  std::vector<std::vector<float>> gradients;
  const RestoreThreads restore;
  for (int count = 1; count <= 4; ++count) {
    set_threads(count);
    std::vector<float>& gradient = gradients.emplace_back(table.size(), NAN);
    Tape tape;
    const Tensor W = tape.leaf(table.data(), gradient.data(), {V, C}, LeafGradient::overwrite);
    tape.backward(dot(tape, gather(tape, W, Tensor(ids.data(), {N})), dy.data()));
  }
  for (const auto& g : gradients) CHECK(g == gradients[0]);
}

TEST_CASE("pick: it takes one element of every row, and the gradient of the other elements is zero") {
  const std::int64_t N = 5000, V = 9;
  auto ids = random_ids(N, V);
  std::vector<float> x = random_floats(N * V, 3), dx(x.size(), NAN), dy = random_floats(N, 4);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {5, 1000, V}, LeafGradient::overwrite);
  const Tensor y = pick(tape, X, Tensor(ids.data(), {5, 1000}));
  REQUIRE(y.shape() == Shape{5, 1000});
  tape.backward(dot(tape, y, dy.data()));
  bool right = true;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    right = right && y.f32()[n] == x[n * 9 + static_cast<std::size_t>(ids[n])];
    for (std::int32_t v = 0; v < 9; ++v)
      right = right && dx[n * 9 + static_cast<std::size_t>(v)] == (v == ids[n] ? dy[n] : 0);
  }
  CHECK(right);
}

TEST_CASE("gather, pick: errors name a wrong id with its index, and a wrong shape with the expected shape") {
  std::vector<float> x(24);
  std::vector<std::int32_t> ids = {0, 1, 2, 3, 4, 6};
  Tape tape;
  const Tensor table(x.data(), {6, 4}), rows(x.data(), {4, 6});
  CHECK_THROWS_WITH(gather(tape, table, Tensor(ids.data(), {2, 3})),
                    contains("gather: ids(1, 2) is 6, expected 0 <= id < 6"));
  ids[3] = -1;
  CHECK_THROWS_WITH(gather(tape, table, Tensor(ids.data(), {6})), contains("gather: ids(3) is -1"));
  CHECK_THROWS_WITH(pick(tape, rows, Tensor(ids.data(), {4})),
                    contains("pick: ids(3) is -1, expected 0 <= id < 6"));
  CHECK_THROWS_WITH(pick(tape, rows, Tensor(ids.data(), {3})), contains("pick: ids is (3), expected (4)"));
  CHECK_THROWS_WITH(gather(tape, rows.transpose(0, 1), Tensor(ids.data(), {2})),
                    contains("gather: table is (6, 4)"));
  CHECK_THROWS_WITH(gather(tape, table, table), contains("dtype is f32, expected i32"));
  CHECK(gather(tape, table, Tensor(ids.data(), {1, 1, 2})).shape() == Shape{1, 1, 2, table.dim(1)});
  CHECK_THROWS_WITH(gather(tape, table, Tensor(ids.data(), {1, 1, 1, 2})),
                    contains("gather: ids is (1, 1, 1, 2), expected three axes or fewer"));
}

TEST_CASE(
    "embedding: values and gradients agree with the reference, and unused positions have gradient zero") {
  for_each_isa([] {
    for (std::int64_t C : {1, 5, 16, 33, 100}) {
      INFO("C = " << C);
      const std::int64_t V = 11, Vp = 16, maxT = 9, B = 3, T = 6, first = 2;
      auto ids = random_ids(B * T, V);
      const std::vector<double> wte = as_doubles(random_floats(Vp * C, 1)),
                                wpe = as_doubles(random_floats(maxT * C, 2));
      const std::vector<double> dy = as_doubles(random_floats(B * T * C, 3));
      std::vector<double> y(dy.size()), dwte(wte.size()), dwpe(wpe.size());
      reference::embedding_forward(y.data(), wte.data(), wpe.data() + first * C, ids.data(), B, T, C);
      reference::embedding_backward(dwte.data(), dwpe.data() + first * C, dy.data(), ids.data(), B, T, C);
      std::vector<float> te = floats(wte), pe = floats(wpe), d = floats(dy), dte(te.size(), NAN),
                         dpe(pe.size(), NAN);
      Tape tape;
      const Tensor E = tape.leaf(te.data(), dte.data(), {Vp, C}, LeafGradient::overwrite);
      const Tensor P = tape.leaf(pe.data(), dpe.data(), {maxT, C}, LeafGradient::overwrite);
      const Tensor out = embedding(tape, E, P, Tensor(ids.data(), {B, T}), V, first);
      REQUIRE(out.shape() == Shape{B, T, C});
      check_close("y", std::span<const float>(out.f32(), y.size()), y, kOneRounding);
      tape.backward(dot(tape, out, d.data()));
      check_close("dwte", std::span<const float>(dte), dwte, kSums);
      check_close("dwpe", std::span<const float>(dpe), dwpe, kSums);
    }
  });
}

TEST_CASE("embedding: it adds to the gradient of the tied table that the head has already written") {
  const std::int64_t V = 4, C = 3;
  std::vector<float> wte = random_floats(V * C, 1), wpe = random_floats(2 * C, 2), dwte(wte.size(), NAN),
                     dy(2 * C, 1.0f);
  std::vector<std::int32_t> ids = {3, 3};
  Tape tape;
  const Tensor E = tape.leaf(wte.data(), dwte.data(), {V, C}, LeafGradient::overwrite);
  const Tensor P = tape.leaf(wpe.data(), nullptr, {2, C}, LeafGradient::overwrite);
  const Tensor out = embedding(tape, E, P, Tensor(ids.data(), {1, 2}), V);
  const GradientTarget head = tape.leaf_gradient(E, out);
  REQUIRE_FALSE(head.accumulate);
  std::fill(head.data, head.data + V * C, 10.0f);
  tape.backward(dot(tape, out, dy.data()));
  for (std::size_t i = 0; i < dwte.size(); ++i) CHECK(dwte[i] == (i >= 9 ? 12.0f : 10.0f));
}

TEST_CASE("embedding: errors name wrong ids, positions and shapes") {
  std::vector<float> x(200);
  std::vector<std::int32_t> ids = {0, 1, 2, 5};
  Tape tape;
  const Tensor wte(x.data(), {8, 4}), wpe(x.data(), {3, 4}), tokens(ids.data(), {2, 2});
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, tokens, 5),
                    contains("embedding: ids(1, 1) is 5, expected 0 <= id < 5"));
  CHECK_NOTHROW(embedding(tape, wte, wpe, tokens, 6));
  CHECK_NOTHROW(embedding(tape, wte, wpe, tokens, 6, 1));
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, tokens, 6, 2),
                    contains("T=2 tokens from position 2 on, expected at most maxT=3"));
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, Tensor(ids.data(), {1, 4}), 6), contains("T=4 tokens"));
  CHECK_THROWS_WITH(embedding(tape, wte, Tensor(x.data(), {3, 5}), tokens, 6),
                    contains("wpe is (3, 5), expected a contiguous (maxT, C=4)"));
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, Tensor(ids.data(), {4}), 6),
                    contains("ids is (4), expected (B, T)"));
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, tokens, 9),
                    contains("vocab is 9, expected 0 to 8, the number of rows of wte"));
}

TEST_CASE("gather, pick, embedding: an error names an argument with a wrong dtype") {
  Zeros zeros;
  Tape tape;
  CHECK_THROWS_WITH(embedding(tape, zeros.bf16({8, 4}), zeros.f32({8, 4}), zeros.i32({1, 2}), 8),
                    contains("embedding: wte (8, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(embedding(tape, zeros.f32({8, 4}), zeros.bf16({8, 4}), zeros.i32({1, 2}), 8),
                    contains("embedding: wpe (8, 4): dtype is bf16, expected f32"));
  CHECK_THROWS_WITH(embedding(tape, zeros.f32({8, 4}), zeros.f32({8, 4}), zeros.f32({1, 2}), 8),
                    contains("embedding: ids (1, 2): dtype is f32, expected i32"));
  CHECK_THROWS_WITH(gather(tape, zeros.i32({8, 4}), zeros.i32({2})),
                    contains("gather: table (8, 4): dtype is i32, expected f32"));
  CHECK_THROWS_WITH(pick(tape, zeros.bf16({2, 4}), zeros.i32({2})),
                    contains("pick: x (2, 4): dtype is bf16, expected f32"));
}

}  // namespace
}  // namespace inkling
