// Edge cases of the tape: leaves that share a gradient buffer, nodes that are not recorded or not run, the
// order of nodes, backward from a known gradient, tensors of another tape, and other errors.
#include <cstring>

#include "core/error.h"
#include "core/tape.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "tests/core/leaf.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Floats = std::vector<float>;

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
  CHECK_THROWS_WITH(tape.leaf(other.data(), leaf.dx.data(), {3}, LeafGradient::overwrite),
                    contains("leaf: the gradient buffer already belongs to a leaf of 3 elements, got another "
                             "leaf of shape (3)"));
  CHECK_THROWS_WITH(tape.leaf(leaf.x.data(), leaf.dx.data(), {4}, LeafGradient::overwrite),
                    contains("got another leaf of shape (4)"));
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

TEST_CASE("tape: a node may read and add to many gradients; the list of inputs may be made at run time") {
  constexpr std::size_t kMany = 20;
  std::vector<Leaf> leaves(kMany, Leaf({1}));
  std::vector<Tensor> x;
  Tape tape;
  for (Leaf& leaf : leaves) x.push_back(leaf.on(tape));
  const Tensor y = tape.output({1}, {x[0]}), z = tape.output({1}, {x[0]}), loss = tape.output({}, {y});
  const Tensor* const inputs = x.data();
  const auto backward = [=](Gradients& gradients) {
    for (std::size_t i = 0; i < kMany; ++i)
      *gradients.target(inputs[i]).data = static_cast<float>(i + 1) * (*gradients.of(y) + *gradients.of(z));
  };
  tape.record("many", {y, z}, {x[0], x[1]}, Work{}, backward, std::span(x).subspan(2));
  tape.record("spread", {loss}, {y, z}, [=](Gradients& gradients) {
    *gradients.target(y).data = 10 * *gradients.of(loss);
    *gradients.target(z).data = 20 * *gradients.of(loss);
  });
  CHECK(tape.graph().node(0).reads.size() == 2);
  CHECK(tape.graph().node(0).adds_to.size() == kMany);
  tape.backward(loss);
  for (std::size_t i = 0; i < kMany; ++i) CHECK(leaves[i].dx[0] == 30 * static_cast<float>(i + 1));
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
  CHECK_THROWS_WITH(tape.backward_from(y.detach(), dy.data()), contains("tensor (3) has no gradient"));
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

TEST_CASE("tape: backward from a tensor of another tape, or from before clear(), is an error") {
  std::vector<float> values{1, 2}, gradient(2);
  Tape tape, other;
  const auto leaf_of = [&](Tape& t) {
    return t.leaf(values.data(), gradient.data(), {2}, LeafGradient::overwrite);
  };
  const Tensor mine = leaf_of(tape), loss = sum(tape, mine);
  leaf_of(other);
  const Tensor their_loss = sum(other, exp(other, leaf_of(other)));
  CHECK_THROWS_WITH(tape.backward(their_loss), contains("backward: tensor () is from another tape"));
  const float dy = 1;
  CHECK_THROWS_WITH(tape.backward_from(their_loss, &dy),
                    contains("backward: tensor () is from another tape"));
  tape.clear();
  CHECK_THROWS_WITH(tape.backward(loss), contains("backward: tensor () is from another tape or from before"));
  CHECK_THROWS_WITH(tape.leaf_gradient(mine, mine),
                    contains("leaf_gradient: tensor (2) is from another tape"));
  CHECK_NOTHROW(other.backward(their_loss));
}

TEST_CASE("tape: an op on a tensor of another tape, or from before clear(), is an error") {
  Leaf first({1, 2}), second({3, 4});
  Tape tape, other;
  const Tensor x = first.on(tape), theirs = second.on(other);
  CHECK_THROWS_WITH(mul(tape, x, theirs), contains("mul: tensor (2) is from another tape"));
  CHECK_NOTHROW(mul(tape, x, theirs.detach()));
  CHECK_NOTHROW(exp(tape, x.slice(0, 2, 2)));  // an empty view at the end belongs to x
  tape.clear();
  CHECK_THROWS_WITH(exp(tape, x), contains("exp: tensor (2) is from another tape or from before clear()"));
}

}  // namespace
}  // namespace inkling
