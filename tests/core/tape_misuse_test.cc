// The tape at its edges: which leaf a leaf is, what is recorded and what is run, gradients of a known tensor,
// and what is refused.
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

TEST_CASE("tape: a leaf asked for again stays in the mode that it was first given, in both orders") {
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

TEST_CASE("tape: a gradient buffer belongs to one leaf: other values or another size are an error") {
  Leaf leaf({1, 2, 3});
  Floats other = {4, 5, 6};
  Tape tape;
  leaf.on(tape);
  CHECK_THROWS_WITH(
      tape.leaf(other.data(), leaf.dx.data(), {3}, LeafGradient::overwrite),
      contains("leaf: the gradient buffer belongs to a leaf of 3 elements already, got one of shape (3)"));
  CHECK_THROWS_WITH(tape.leaf(leaf.x.data(), leaf.dx.data(), {4}, LeafGradient::overwrite),
                    contains("that of (4), too"));
  tape.clear();
  CHECK_NOTHROW(tape.leaf(other.data(), leaf.dx.data(), {3}, LeafGradient::overwrite));
}

TEST_CASE(
    "tape: a part of a leaf gets its part of the gradient, and the rest of an overwritten one becomes zero") {
  Leaf overwritten({1, 2, 3, 4}), accumulated({1, 2, 3, 4});
  Tape tape;
  const Tensor a = overwritten.on(tape), b = accumulated.on(tape, LeafGradient::accumulate);
  const auto middle = [&](const Tensor& x) { return sum(tape, scale(tape, x.slice(0, 1, 3), 5.0f)); };
  tape.backward(add(tape, middle(a), middle(b)));
  CHECK(overwritten.dx == Floats{0, 5, 5, 0});
  CHECK(accumulated.dx == Floats{100, 105, 105, 100});
}

TEST_CASE(
    "tape: a node without gradients is not recorded, and a node that the loss does not depend on does not "
    "run") {
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
  counted(other.on(tape));  // no part of the loss
  counted(used);            // nor this, though it depends on what is
  counted(c);               // wants no gradient
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
    "tape: a node waits for the writers of the gradients it reads, and writers of one gradient run in turn") {
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
  CHECK(successors(1) == std::vector<std::int32_t>{0});  // the later node adds to x first
  CHECK(successors(0).empty());
  CHECK(leaf.dx == Floats{12, 24});  // d(6 x^2)
}

TEST_CASE(
    "tape: of two nodes that read an unused result's gradient, the second waits until the first has zeroed "
    "it") {
  Leaf first({1}), second({2});
  Tape tape;
  std::memset(tape.keep(1024), 0xff, 4096);  // what the gradients' memory held before
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

TEST_CASE("tape: six gradients are not too many for a node to read or to add to") {
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

TEST_CASE(
    "tape: backward from a known gradient gives its product with the derivative, and leaves it as it was") {
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

TEST_CASE("tape: a known gradient is only read: backward gives its memory to no other gradient") {
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

TEST_CASE("tape: backward from a known gradient starts at the whole result of an op") {
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

TEST_CASE("tape: a gradient asked for in another dtype is an error that names both") {
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

TEST_CASE("tape: the first writer of a gradient is told to assign, the next to add; a sum begins at zero") {
  for (const bool sum_first : {false, true}) {
    Leaf leaf({1, 2});
    Tape tape;
    std::memset(tape.keep(1024), 0xff, 4096);  // what the gradients' memory held before
    tape.clear();
    const Tensor y = scale(tape, leaf.on(tape), 1.0f), loss = tape.output({}, {y});
    bool told_to_add[2] = {};
    for (int use = 1; use >= 0; --use) {  // recorded later, run earlier
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

TEST_CASE("tape: a gradient of which only a part is written is zero elsewhere, also an odd number of bf16s") {
  for (const std::int64_t n : {1, 2, 3, 4, 5}) {
    Leaf leaf(Floats(static_cast<std::size_t>(n), 1.0f));
    Tape tape;
    std::memset(tape.keep(1024), 0xff, 4096);  // what the gradients' memory held before
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

TEST_CASE("tape: a recomputed piece is one node, and after an error in it the tape records again") {
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
    "tape: a recomputed piece whose input wants no gradient still gives its leaves theirs, in both modes") {
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

TEST_CASE("tape: recomputed pieces run one after another, even if neither depends on the other") {
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

TEST_CASE("tape: the peak includes the memory of recomputation") {
  constexpr std::size_t kCount = 4096, kBytes = kCount * sizeof(float);
  Leaf leaf(Floats(kCount, 0.5f));
  Tape tape;
  const Tensor y =
      recompute(tape, leaf.on(tape), [](Tape& t, const Tensor& x) { return exp(t, exp(t, exp(t, x))); });
  const Tensor loss = sum(tape, y);
  const std::size_t before = tape.peak_bytes();
  tape.backward(loss);
  // Again are computed three results, and gradients of two of them; dy lies on the tape itself.
  CHECK(tape.peak_bytes() >= before + 3 * kBytes);
}

TEST_CASE("tape: memory kept is aligned, apart, and given again after clear; a rewind moves what it keeps") {
  Tape tape;
  float* first = tape.keep(3);
  float* second = tape.keep(1);
  CHECK(second - first == 16);  // a cache line on
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
