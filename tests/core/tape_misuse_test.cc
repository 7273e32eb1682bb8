// Edge cases of the tape: leaves that share a gradient buffer, nodes that are not recorded or not run, the
// order of nodes, backward from a known gradient, recomputation, and errors.
#include <cstring>

#include "core/error.h"
#include "core/recompute.h"
#include "core/tape.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Floats = std::vector<float>;

struct Leaf {
  Floats x, dx;
  explicit Leaf(Floats values) : x(std::move(values)), dx(x.size(), 100.0f) {}
  Tensor on(Tape& tape, LeafGradient mode = LeafGradient::overwrite) {
    return tape.leaf(x.data(), dx.data(), {std::ssize(x)}, mode);
  }
};

TEST_CASE("tape: a second call of leaf() keeps the mode of the first call, whichever mode comes first") {
  for (const LeafGradient first : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    const LeafGradient second =
        first == LeafGradient::overwrite ? LeafGradient::accumulate : LeafGradient::overwrite;
    Leaf leaf({1, 2, 3});
    Tape tape;
    const Tensor a = leaf.on(tape, first), b = leaf.on(tape, second);
    tape.backward(sum(tape, mul(tape, a, b)));  // d(x x) = 2 x
    const float before = first == LeafGradient::overwrite ? 0.0f : 100.0f;
    CHECK(leaf.dx == Floats{before + 2, before + 4, before + 6});
  }
}

TEST_CASE("tape: leaf() with the gradient buffer of another leaf is an error, until clear()") {
  Leaf leaf({1, 2, 3});
  Floats other = {4, 5, 6};
  Tape tape;
  leaf.on(tape);
  CHECK_THROWS_WITH(
      tape.leaf(other.data(), leaf.dx.data(), {3}, LeafGradient::overwrite),
      contains("leaf: the gradient buffer belongs to a leaf of 3 elements already, got a leaf of shape (3)"));
  CHECK_THROWS_WITH(tape.leaf(leaf.x.data(), leaf.dx.data(), {4}, LeafGradient::overwrite),
                    contains("got a leaf of shape (4)"));
  tape.clear();
  CHECK_NOTHROW(tape.leaf(other.data(), leaf.dx.data(), {3}, LeafGradient::overwrite));
}

TEST_CASE("tape: the gradient of a slice goes to its part of the leaf; the rest is zero or unchanged") {
  Leaf overwritten({1, 2, 3, 4}), accumulated({1, 2, 3, 4});
  Tape tape;
  const Tensor a = overwritten.on(tape), b = accumulated.on(tape, LeafGradient::accumulate);
  const auto middle = [&](const Tensor& x) { return sum(tape, scale(tape, x.slice(0, 1, 3), 5.0f)); };
  tape.backward(add(tape, middle(a), middle(b)));
  CHECK(overwritten.dx == Floats{0, 5, 5, 0});
  CHECK(accumulated.dx == Floats{100, 105, 105, 100});
}

TEST_CASE(
    "tape: a node without gradients is not recorded; a node that the loss does not depend on is not run") {
  Leaf leaf({1, 2}), other({3, 4});
  Floats constant = {5, 6};
  Tape tape;
  const Tensor c(constant.data(), {2});
  exp(tape, c);
  mul(tape, c, c);
  CHECK(tape.graph().node_count() == 0);
  int runs = 0;
  int* count = &runs;
  const auto counted = [&](const Tensor& x) {
    const Tensor y = tape.output(x.shape(), {x});
    std::copy_n(x.f32(), x.numel(), y.f32());
    tape.record("counted", {y}, {x}, [=](Gradients& gradients) {
      ++*count;
      const float* dy = gradients.of(y);
      float* dx = gradients.sum_into(x);
      for (std::int64_t i = 0; i < x.numel(); ++i) dx[i] += dy[i];
    });
    return y;
  };
  const Tensor used = counted(leaf.on(tape));
  counted(other.on(tape));  // the loss does not depend on it
  counted(used);            // the loss does not depend on this one either
  counted(c);               // has no gradient, so it is not recorded
  CHECK(tape.graph().node_count() == 3);
  const Tensor loss = sum(tape, used);
  CHECK(runs == 0);
  tape.set_schedule(Schedule::serial);
  tape.backward(loss);
  CHECK(runs == 1);
  CHECK(leaf.dx == Floats{1, 1});
  CHECK(other.dx == Floats{0, 0});
}

TEST_CASE(
    "tape: a node waits for all writers of the gradients it reads; writers of one gradient run in turn") {
  Leaf leaf({1, 2});
  Tape tape;
  const Tensor x = leaf.on(tape), a = scale(tape, x, 2.0f), b = scale(tape, x, 3.0f);  // nodes 0 and 1
  tape.backward(sum(tape, mul(tape, a, b)));                                           // nodes 2 and 3
  const auto successors = [&](std::int32_t node) {
    std::vector<std::int32_t> all;
    tape.graph().plan().for_each_successor(node, [&](std::int32_t n) { all.push_back(n); });
    std::sort(all.begin(), all.end());
    return all;
  };
  CHECK(successors(3) == std::vector<std::int32_t>{2});
  CHECK(successors(2) == std::vector<std::int32_t>{0, 1});
  // Backward runs in reverse, so node 1 adds to x before node 0.
  CHECK(successors(1) == std::vector<std::int32_t>{0});
  CHECK(successors(0).empty());
  CHECK(leaf.dx == Floats{12, 24});  // d(6 x^2)
}

TEST_CASE("tape: if two nodes read an unused result's gradient, the first zeroes it and the second waits") {
  Leaf first({1}), second({2});
  Tape tape;
  std::memset(tape.keep(1024), 0xff, 4096);  // fill the memory that the gradients will use with NaN
  tape.clear();
  const Tensor a = first.on(tape), b = second.on(tape);
  const Tensor used = tape.output({1}, {a, b}), unused = tape.output({1}, {a, b}),
               loss = tape.output({}, {used});
  for (const Tensor& x : {a, b}) {  // nodes 0 and 1
    tape.record("reads both", {used, unused}, {x}, [=](Gradients& gradients) {
      *gradients.target(x).data = *gradients.of(used) + 100 * *gradients.of(unused);
    });
  }
  tape.record("loss", {loss}, {used}, [=](Gradients& gradients) { *gradients.target(used).data = 7; });
  tape.backward(loss);
  std::vector<std::int32_t> after;
  tape.graph().plan().for_each_successor(1, [&](std::int32_t n) { after.push_back(n); });
  CHECK(after == std::vector<std::int32_t>{0});
  CHECK(first.dx == Floats{7});
  CHECK(second.dx == Floats{7});
}

TEST_CASE("tape: a node may read six gradients and add to six; seven are an error") {
  std::vector<Leaf> leaves(6, Leaf({1}));
  Tape tape;
  Tensor x[6], y[6];
  for (std::size_t i = 0; i < 6; ++i) x[i] = leaves[i].on(tape), y[i] = tape.output({1}, {x[i]});
  const Tensor loss = tape.output({}, {y[0]});
  tape.record("six", {y[0], y[1], y[2], y[3], y[4], y[5]}, {x[0], x[1], x[2], x[3], x[4], x[5]},
              [=](Gradients& gradients) {
                for (int i = 0; i < 6; ++i)
                  *gradients.target(x[i]).data = static_cast<float>(i + 1) * *gradients.of(y[i]);
              });
  tape.record("spread", {loss}, {y[0], y[1], y[2], y[3], y[4], y[5]}, [=](Gradients& gradients) {
    for (int i = 0; i < 6; ++i) *gradients.target(y[i]).data = 10 * *gradients.of(loss);
  });
  tape.backward(loss);
  for (std::size_t i = 0; i < 6; ++i) CHECK(leaves[i].dx[0] == 10 * static_cast<float>(i + 1));
  const auto nothing = [](Gradients&) {};
  CHECK_THROWS_WITH(tape.record("many", {y[0], y[0], y[0], y[0], y[0], y[0], y[0]}, {x[0]}, nothing),
                    contains("many: a node reads and adds to at most 6"));
}

TEST_CASE("tape: backward_from() multiplies the known gradient by the derivative and does not change it") {
  Leaf overwritten({1, 2, 3}), accumulated({4, 5, 6});
  const Floats dy = {1, 10, 100};
  Tape tape;
  const Tensor y = mul(tape, overwritten.on(tape), accumulated.on(tape, LeafGradient::accumulate));
  tape.backward_from(y, dy.data());
  CHECK(overwritten.dx == Floats{4, 50, 600});
  CHECK(accumulated.dx == Floats{101, 120, 400});
  CHECK(dy == Floats{1, 10, 100});
  CHECK_THROWS_WITH(tape.backward_from(y, dy.data()), contains("backward: called twice on one tape"));
}

TEST_CASE("tape: backward_from() never reuses the memory of the known gradient for another gradient") {
  Leaf leaf({1, 2, 3});
  const Floats dy = {1, 10, 100};
  Tape tape;
  constexpr int kOps = 12;
  Tensor y = leaf.on(tape);
  for (int i = 0; i < kOps; ++i) y = scale(tape, y, 2.0f);
  tape.backward_from(y, dy.data());
  CHECK(leaf.dx == Floats{4096, 40960, 409600});
  CHECK(dy == Floats{1, 10, 100});
}

TEST_CASE("tape: backward_from() starts only at the whole result of an op") {
  Leaf leaf({1, 2, 3});
  const Floats dy = {1, 10, 100};
  Tape tape;
  const Tensor x = leaf.on(tape), y = scale(tape, x, 2.0f);
  const char* wrong =
      "backward: starts at a leaf or at a part of a tensor, expected the whole result of an op";
  CHECK_THROWS_WITH(tape.backward_from(x, dy.data()), contains(wrong));
  CHECK_THROWS_WITH(tape.backward_from(y.slice(0, 0, 2), dy.data()), contains(wrong));
  CHECK_THROWS_WITH(tape.backward_from(y.slice(0, 1, 3), dy.data()), contains(wrong));
  CHECK_THROWS_WITH(tape.backward_from(y.detach(), dy.data()), contains("(3) does not depend on anything"));
  CHECK_NOTHROW(tape.backward_from(y.reshape({1, 3}), dy.data()));
  CHECK(leaf.dx == Floats{2, 20, 200});
}

TEST_CASE("tape: asking for a gradient in the wrong dtype is an error that names both dtypes") {
  Leaf leaf({1, 2});
  const auto backward_with = [&](auto ask) {
    Tape tape;
    const Tensor half = narrowed(tape, leaf.on(tape)), loss = tape.output({}, {half});
    tape.record("asks", {loss}, {half}, [=](Gradients& gradients) { ask(gradients, half); });
    tape.set_schedule(Schedule::serial);
    tape.backward(loss);
  };
  const char* wrong = "gradient of tensor (2): dtype is bf16, expected f32";
  CHECK_THROWS_WITH(backward_with([](Gradients& g, const Tensor& x) { g.target(x); }), contains(wrong));
  CHECK_THROWS_WITH(backward_with([](Gradients& g, const Tensor& x) { g.sum_into(x); }), contains(wrong));
  CHECK_THROWS_WITH(backward_with([](Gradients& g, const Tensor& x) { g.of(x); }), contains(wrong));
  CHECK_NOTHROW(backward_with([](Gradients& g, const Tensor& x) {
    const GradientTarget<bf16> into = g.target<bf16>(x);
    std::fill_n(into.data, 2, inkling::to_bf16(3.0f));
  }));
  CHECK(leaf.dx == Floats{3, 3});
}

TEST_CASE(
    "tape: the first writer of a gradient must assign, the next must add; sum_into() starts from zero") {
  for (const bool sum_first : {false, true}) {
    Leaf leaf({1, 2});
    Tape tape;
    std::memset(tape.keep(1024), 0xff, 4096);  // fill the memory that the gradients will use with NaN
    tape.clear();
    const Tensor y = scale(tape, leaf.on(tape), 1.0f), loss = tape.output({}, {y});
    bool told_to_add[2] = {};
    for (int use = 1; use >= 0; --use) {  // the node recorded last runs first
      bool* told = &told_to_add[use];
      tape.record("use", {loss}, {y}, [=](Gradients& gradients) {
        const GradientTarget into = gradients.target(y);
        *told = into.accumulate;
        for (int i = 0; i < 2; ++i)
          into.data[i] = (into.accumulate ? into.data[i] : 0.0f) + static_cast<float>(1 + use);
      });
    }
    if (sum_first) {
      tape.record("sum", {loss}, {y}, [=](Gradients& gradients) { gradients.sum_into(y)[1] += 40; });
    }
    tape.set_schedule(Schedule::serial);
    tape.backward(loss);
    CHECK(told_to_add[0] == sum_first);
    CHECK(told_to_add[1]);
    CHECK(leaf.dx == Floats{3, sum_first ? 43.0f : 3.0f});
  }
}

TEST_CASE("tape: a bf16 gradient is zero where no node writes it, for odd and even lengths") {
  for (const std::int64_t n : {1, 2, 3, 4, 5}) {
    Leaf leaf(Floats(static_cast<std::size_t>(n), 1.0f));
    Tape tape;
    std::memset(tape.keep(1024), 0xff, 4096);  // fill the memory that the gradients will use with NaN
    tape.clear();
    const Tensor half = narrowed(tape, leaf.on(tape)), loss = tape.output({}, {half});
    tape.record("none of it", {loss}, {half}, [=](Gradients& gradients) {
      const GradientTarget<bf16> none = gradients.target<bf16>(half.slice(0, 0, 0));
      CHECK(none.accumulate);
    });
    tape.set_schedule(Schedule::serial);
    tape.backward(loss);
    CHECK(leaf.dx == Floats(static_cast<std::size_t>(n), 0.0f));
  }
}

TEST_CASE("tape: recompute() records one node; after an error inside it, the tape records again") {
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

TEST_CASE(
    "tape: recompute() of an input without gradient still gives leaves their gradients, in both modes") {
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

TEST_CASE("tape: recompute nodes run one after another, even if they do not depend on each other") {
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

TEST_CASE("tape: peak_bytes() includes the memory of recomputation") {
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

TEST_CASE("tape: keep() gives aligned memory, and the same again after clear(); rewind() moves its result") {
  Tape tape;
  float* first = tape.keep(3);
  float* second = tape.keep(1);
  CHECK(second - first == 16);  // one cache line further
  tape.clear();
  CHECK(tape.keep(3) == first);
  Tape inference(Recording::off);
  Floats values = {1, 2, 3};
  const Arena::Mark mark = inference.mark();
  exp(inference, Tensor(values.data(), {3}));
  const Tensor y = scale(inference, Tensor(values.data(), {3}), 2.0f), moved = inference.rewind(mark, y);
  CHECK(moved.f32() + 16 == y.f32());
  CHECK(moved.shape() == Shape{3});
  CHECK(Floats(moved.f32(), moved.f32() + 3) == Floats{2, 4, 6});
}

}  // namespace
}  // namespace inkling
