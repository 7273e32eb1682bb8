// Recomputation: a piece of the network that runs again in backward has the gradients of the same piece
// recorded on the tape, also for leaves that other pieces and other ops use.
#include "core/recompute.h"

#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "tests/core/leaf.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Floats = std::vector<float>;

TEST_CASE("recompute: it records one node; after an error inside it, the tape records again") {
  Leaf leaf({1, 2});
  Tape tape;
  const Tensor x = leaf.on(tape);
  CHECK_THROWS_WITH(recompute(tape, x, [](Tape&, const Tensor&) -> Tensor { fail("a faulty piece"); }),
                    contains("a faulty piece"));
  CHECK(tape.recording());
  const Tensor y = recompute(tape, x, [](Tape& t, const Tensor& in) { return scale(t, exp(t, in), 2.0f); });
  CHECK(tape.graph().node_count() == 1);
  tape.backward(sum(tape, y));
  CHECK(leaf.dx[0] == approx(2 * std::exp(1.0)));
  CHECK(leaf.dx[1] == approx(2 * std::exp(2.0)));
}

TEST_CASE("recompute: an input without gradient still gives leaves their gradients, in both modes") {
  Floats constant = {1, 10};
  for (const LeafGradient mode : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    Leaf leaf({2, 3});
    Tape tape;
    const Tensor y =
        recompute(tape, Tensor(constant.data(), {2}), [mode, w = &leaf](Tape& t, const Tensor& x) {
          const Tensor weight = w->on(t, mode);
          return mul(t, mul(t, x, weight), weight);
        });
    tape.backward(sum(tape, y));  // d(x w^2) = 2 x w
    const float before = mode == LeafGradient::overwrite ? 0.0f : 100.0f;
    CHECK(leaf.dx == Floats{before + 4, before + 60});
  }
}

TEST_CASE("recompute: recompute nodes run one after another, even if they do not depend on each other") {
  Leaf first({1, 2}), second({3, 4});
  Tape tape;
  const auto doubled = [](Tape& t, const Tensor& x) { return scale(t, x, 2.0f); };
  const Tensor a = recompute(tape, first.on(tape), doubled), b = recompute(tape, second.on(tape), doubled);
  tape.backward(sum(tape, mul(tape, a, b)));
  std::vector<std::int32_t> after;
  tape.graph().plan().for_each_successor(1, [&](std::int32_t n) { after.push_back(n); });
  CHECK(after == std::vector<std::int32_t>{0});
  CHECK(first.dx == Floats{12, 16});  // d(4 x y)
  CHECK(second.dx == Floats{4, 8});
}

TEST_CASE("recompute: peak_bytes() includes the memory of recomputation") {
  constexpr std::size_t kCount = 4096, kBytes = kCount * sizeof(float);
  Leaf leaf(Floats(kCount, 0.5f));
  Tape tape;
  const Tensor y =
      recompute(tape, leaf.on(tape), [](Tape& t, const Tensor& x) { return exp(t, exp(t, exp(t, x))); });
  const Tensor loss = sum(tape, y);
  const std::size_t before = tape.peak_bytes();
  tape.backward(loss);
  // Recomputation needs memory for three results and for the gradients of two of them. dy belongs to the
  // outer tape.
  CHECK(tape.peak_bytes() >= before + 3 * kBytes);
}

// ---- Leaves that a piece shares ----

// x w, recomputed.
Tensor times_leaf(Tape& tape, const Tensor& x, Leaf& w, LeafGradient mode = LeafGradient::overwrite) {
  return recompute(tape, x,
                   [leaf = &w, mode](Tape& t, const Tensor& in) { return mul(t, in, leaf->on(t, mode)); });
}

TEST_CASE("recompute: two pieces that use the same leaf both add to its gradient, in both modes") {
  for (const LeafGradient mode : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    Leaf x({1, 10}), w({2, 3});
    Tape tape;
    tape.backward(sum(tape, times_leaf(tape, times_leaf(tape, x.on(tape), w, mode), w, mode)));  // x w^2
    const float before = mode == LeafGradient::overwrite ? 0.0f : 100.0f;
    CHECK(w.dx == Floats{before + 4, before + 60});
    CHECK(x.dx == Floats{4, 9});
  }
}

TEST_CASE(
    "recompute: a leaf that is also used outside of the piece gets the sum, and the nodes run in turn") {
  for (const bool outside_first : {false, true}) {
    INFO("outside first: " << outside_first);
    Leaf x({1, 10}), w({2, 3});
    Tape tape;
    Tensor y = x.on(tape);
    if (outside_first) y = mul(tape, y, w.on(tape));
    y = times_leaf(tape, y, w);
    if (!outside_first) y = mul(tape, y, w.on(tape));
    tape.backward(sum(tape, y));
    CHECK(w.dx == Floats{4, 60});
    CHECK(x.dx == Floats{4, 9});
  }
  Leaf a({1}), b({10}), w({2});
  Tape tape;
  const Tensor outside = mul(tape, a.on(tape), w.on(tape)), inside = times_leaf(tape, b.on(tape), w);
  tape.backward(sum(tape, add(tape, outside, inside)));
  std::vector<std::int32_t> after;
  tape.graph().plan().for_each_successor(1, [&](std::int32_t n) { after.push_back(n); });
  CHECK(after == std::vector<std::int32_t>{0});  // they share nothing but w
  CHECK(w.dx == Floats{11});
}

TEST_CASE("recompute: the leaf of a piece that backward does not reach has gradient 0, or keeps its sum") {
  for (const LeafGradient mode : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    Leaf x({1, 10}), w({2, 3});
    Tape tape;
    const Tensor leaf = x.on(tape);
    times_leaf(tape, leaf, w, mode);
    tape.backward(sum(tape, leaf));
    CHECK(w.dx == (mode == LeafGradient::overwrite ? Floats{0, 0} : Floats{100, 100}));
    CHECK(x.dx == Floats{1, 1});
  }
}

TEST_CASE("recompute: a piece may use the leaf that is also its input") {
  Leaf w({2, 3});
  Tape tape;
  tape.backward(sum(tape, times_leaf(tape, w.on(tape), w)));  // w^2
  CHECK(w.dx == Floats{4, 6});
}

TEST_CASE("recompute: a piece inside a piece may use the leaf of the outer piece") {
  Leaf x({1, 10}), w({2, 3});
  Tape tape;
  const Tensor y = recompute(tape, x.on(tape), [leaf = &w](Tape& t, const Tensor& in) {
    return times_leaf(t, mul(t, times_leaf(t, in, *leaf), leaf->on(t)), *leaf);
  });
  tape.backward(sum(tape, times_leaf(tape, y, w)));  // x w^4
  CHECK(w.dx == Floats{32, 1080});
  CHECK(x.dx == Floats{16, 81});
}

TEST_CASE("recompute: a leaf that the result does not depend on has gradient 0") {
  Leaf x({1, 10}), w({2, 3});
  Tape tape;
  const Tensor y = recompute(tape, x.on(tape), [leaf = &w](Tape& t, const Tensor& in) {
    exp(t, leaf->on(t));
    return scale(t, in, 2.0f);
  });
  tape.backward(sum(tape, y));
  CHECK(w.dx == Floats{0, 0});
  CHECK(x.dx == Floats{2, 2});
}

TEST_CASE("recompute: a piece without any gradient is not recorded") {
  Floats constant = {1, 2};
  Tape tape;
  const Tensor y = recompute(tape, Tensor(constant.data(), {2}),
                             [](Tape& t, const Tensor& in) { return scale(t, in, 2.0f); });
  CHECK_FALSE(y.has_gradient());
  CHECK(tape.graph().node_count() == 0);
}

TEST_CASE("recompute: a captured tensor with a gradient is an error, as are some views as input") {
  Leaf x({1, 10, 100, 1000}), w({2, 3, 4, 5});
  Tape tape;
  const Tensor in = x.on(tape), captured = w.on(tape);
  CHECK_THROWS_WITH(
      recompute(tape, in, [captured](Tape& t, const Tensor& again) { return mul(t, again, captured); }),
      contains("recompute: a piece uses a tensor (4) that has a gradient"));
  CHECK_THROWS_WITH(recompute(tape, in.reshape({2, 2}).transpose(0, 1),
                              [](Tape& t, const Tensor& again) { return exp(t, again); }),
                    contains("recompute: x (2, 2) is not contiguous"));
  CHECK_THROWS_WITH(
      recompute(tape, in.slice(0, 0, 1),
                [leaf = &x](Tape& t, const Tensor& again) { return mul(t, again, leaf->on(t)); }),
      contains("recompute: x (1) is a part of a leaf (4) that the piece also uses"));
}

}  // namespace
}  // namespace inkling
