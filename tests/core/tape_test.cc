// The tape: leaves, the results and errors of backward(), inference without recording, and steps that
// allocate no memory.
#include "core/tape.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/layernorm.h"
#include "ops/reduce.h"
#include "tests/allocation_count.h"
#include "tests/core/leaf.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE(
    "tape: a leaf's gradient is overwritten or added to, as asked; without use it becomes zero or stays") {
  Leaf overwritten({1, 2}), accumulated({3, 4}), unreached({5, 6}), kept({7, 8});
  Tape tape;
  const Tensor a = overwritten.on(tape, LeafGradient::overwrite),
               b = accumulated.on(tape, LeafGradient::accumulate);
  const Tensor c = unreached.on(tape, LeafGradient::overwrite), d = kept.on(tape, LeafGradient::accumulate);
  mul(tape, c, d);  // the loss does not depend on it
  tape.backward(sum(tape, mul(tape, a, b)), 2.0f);
  CHECK(overwritten.dx == std::vector<float>{6, 8});
  CHECK(accumulated.dx == std::vector<float>{102, 104});
  CHECK(unreached.dx == std::vector<float>{0, 0});
  CHECK(kept.dx == std::vector<float>{100, 100});
}

TEST_CASE(
    "tape: two micro-batches, the first overwriting, the second accumulating, give the sum of gradients") {
  Leaf leaf({1, 2, 3});
  Tape tape;
  for (LeafGradient mode : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    const Tensor x = leaf.on(tape, mode);
    tape.backward(sum(tape, mul(tape, x, x)));
    tape.clear();
  }
  CHECK(leaf.dx == std::vector<float>{4, 8, 12});
}

TEST_CASE(
    "tape: a leaf is reported once, when its gradient is complete, and not if the loss does not use it") {
  for (const Schedule schedule : {Schedule::serial, Schedule::tbb}) {
    Leaf often({1, 2}), once({3, 4}), unused({5, 6});
    Tape tape;
    tape.set_schedule(schedule);
    const Tensor a = often.on(tape, LeafGradient::overwrite), b = once.on(tape, LeafGradient::overwrite);
    unused.on(tape, LeafGradient::overwrite);
    std::mutex mutex;
    std::map<const float*, std::vector<std::vector<float>>> reports;
    tape.on_leaf_done([&](const float* gradient, std::int64_t count) {
      const std::lock_guard lock(mutex);
      reports[gradient].emplace_back(gradient, gradient + count);
    });
    // a is used by three nodes, and twice by one of them.
    tape.backward(sum(tape, mul(tape, mul(tape, add(tape, a, b), a), mul(tape, a, a))));
    REQUIRE(reports.size() == 2);
    CHECK(reports[often.dx.data()] == std::vector<std::vector<float>>{often.dx});
    CHECK(reports[once.dx.data()] == std::vector<std::vector<float>>{once.dx});
    reports.clear();
    tape.on_leaf_done(nullptr);
    tape.clear();
    tape.backward(sum(tape, once.on(tape, LeafGradient::overwrite)));
    CHECK(reports.empty());
  }
}

TEST_CASE("tape: the gradient of a leaf is the sum over its uses; a constant has no gradient") {
  Leaf leaf({2, 3});
  std::vector<float> ten = {10, 10};
  Tape tape;
  const Tensor x = leaf.on(tape, LeafGradient::overwrite), constant(ten.data(), {2});
  const Tensor no_gradient = tape.leaf(ten.data(), nullptr, {2}, LeafGradient::overwrite);
  CHECK_FALSE(no_gradient.has_gradient());
  CHECK_FALSE(mul(tape, constant, no_gradient).has_gradient());
  const Tensor y = add(tape, add(tape, x, mul(tape, x, constant)), mul(tape, x, no_gradient));
  CHECK(y.has_gradient());
  tape.backward(sum(tape, y));
  CHECK(leaf.dx == std::vector<float>{21, 21});
}

TEST_CASE("tape: two calls of leaf() with one buffer give one leaf: the gradients of both uses are added") {
  Leaf leaf({1, 2, 3});
  Tape tape;
  const Tensor x = leaf.on(tape, LeafGradient::overwrite), y = scale(tape, x, 2.0f);
  const Tensor again = tape.leaf(leaf.x.data(), leaf.dx.data(), {3, 1}, LeafGradient::overwrite);
  CHECK(again.slot() == x.slot());
  CHECK(again.shape() == Shape{3, 1});
  tape.backward(sum(tape, mul(tape, y, again.reshape({3}))));
  CHECK(leaf.dx == std::vector<float>{4, 8, 12});
  CHECK_THROWS_WITH(tape.leaf(leaf.x.data(), leaf.dx.data(), {2}, LeafGradient::overwrite),
                    contains("leaf: the gradient buffer already belongs to a leaf of 3 elements, got another "
                             "leaf of shape (2)"));
}

TEST_CASE("tape: the loss may be one element of a larger tensor") {
  Leaf leaf({1, 2, 3});
  Tape tape;
  const Tensor x = leaf.on(tape, LeafGradient::overwrite), y = mul(tape, x, x.detach());
  tape.backward(y.slice(0, 1, 2));
  CHECK(leaf.dx == std::vector<float>{0, 2, 0});
}

TEST_CASE(
    "tape: a second backward is an error, and so is backward from several elements, a leaf or a constant") {
  Leaf leaf({1, 2}), one({1});
  Tape tape;
  const Tensor x = leaf.on(tape, LeafGradient::overwrite), y = scale(tape, x, 2.0f);
  CHECK_THROWS_WITH(tape.backward(y), contains("backward: loss has shape (2), expected one element"));
  CHECK_THROWS_WITH(tape.backward(Tensor(one.x.data(), {1})), contains("the loss has no gradient"));
  CHECK_THROWS_WITH(tape.backward(one.on(tape, LeafGradient::overwrite)), contains("the loss is a leaf"));
  const Tensor a = sum(tape, y), b = sum(tape, y);
  tape.backward(a);
  CHECK_THROWS_WITH(tape.backward(a),
                    contains("backward: called twice on one tape, expected clear() between the two calls"));
  tape.set_schedule(Schedule::serial);
  CHECK_THROWS_WITH(tape.backward(b), contains("called twice"));
  CHECK(leaf.dx == std::vector<float>{2, 2});
  tape.clear();
  tape.backward(sum(tape, leaf.on(tape, LeafGradient::overwrite)));
  CHECK(leaf.dx == std::vector<float>{1, 1});
}

TEST_CASE("tape: an error in a node reaches the caller of backward; after clear() the tape works again") {
  for (int count : {1, 4}) {
    const RestoreThreads restore;
    set_threads(count);
    Leaf leaf({1, 2});
    Tape tape;
    const Tensor x = leaf.on(tape, LeafGradient::overwrite), y = scale(tape, x, 1.0f), z = sum(tape, y);
    const Tensor loss = tape.output({}, {z});
    tape.record("faulty", {loss}, {z}, [](Gradients&) { fail("a faulty node"); });
    CHECK_THROWS_WITH(tape.backward(loss), contains("a faulty node"));
    tape.clear();
    tape.backward(sum(tape, leaf.on(tape, LeafGradient::overwrite)));
    CHECK(leaf.dx == std::vector<float>{1, 1});
  }
}

TEST_CASE("tape: the forward pass may write a leaf's gradient; backward adds to it") {
  Leaf leaf({1, 2, 3});
  Tape tape;
  const Tensor x = leaf.on(tape, LeafGradient::overwrite);
  const GradientTarget first = tape.leaf_gradient(x, x);
  CHECK_FALSE(first.accumulate);
  std::fill(first.data, first.data + 3, 10.0f);
  CHECK(tape.leaf_gradient(x, x).accumulate);
  const Tensor y = sum(tape, x);
  tape.backward(y);
  CHECK(leaf.dx == std::vector<float>{11, 11, 11});
  CHECK_THROWS_WITH(tape.leaf_gradient(y, y), contains("is not a leaf"));
  CHECK_THROWS_WITH(tape.leaf_gradient(x.detach(), x), contains("has no gradient"));
}

TEST_CASE("tape: with Recording::off no node is recorded, and rewind frees a block's temporaries") {
  std::vector<float> values(1000, 1.0f), gradient(1000);
  Tape tape(Recording::off);
  const Tensor x = tape.leaf(values.data(), gradient.data(), {1000}, LeafGradient::overwrite);
  CHECK_FALSE(x.has_gradient());
  const Arena::Mark mark = tape.mark();
  Tensor h = scale(tape, x, 1.0f);
  std::size_t peak = 0;
  for (int block = 0; block < 50; ++block) {
    const Tensor doubled = scale(tape, add(tape, h, 1.0f), 2.0f);
    h = tape.rewind(mark, add(tape, doubled, -3.0f));  // 2 (h + 1) - 3 = 2 h - 1, so h = 1 stays 1
    if (block == 1) peak = tape.peak_bytes();
  }
  for (std::int64_t i = 0; i < 1000; ++i) REQUIRE(h.f32()[i] == 1.0f);
  CHECK(tape.graph().node_count() == 0);
  CHECK(tape.peak_bytes() == peak);
  CHECK_THROWS_WITH(tape.backward(sum(tape, h)), contains("the loss has no gradient"));
  CHECK_THROWS_WITH(tape.rewind(tape.mark(), h.reshape({10, 100}).transpose(0, 1)),
                    contains("not contiguous"));
}

TEST_CASE("tape: while recording, rewind frees nothing") {
  Leaf leaf({1, 2});
  Tape tape;
  const Arena::Mark mark = tape.mark();
  const Tensor y = scale(tape, leaf.on(tape, LeafGradient::overwrite), 2.0f);
  CHECK(tape.rewind(mark, y).f32() == y.f32());
  CHECK(tape.keep(1) != y.f32());
}

// One step of a small network that uses most general ops. It computes p(next token | this token) from an
// embedding table, a layernorm and a softmax.
float train_step(Tape& tape, std::vector<float>& parameters, std::vector<float>& gradients, const Tensor& ids,
                 const Tensor& targets) {
  const std::int64_t V = 50, C = 64;
  const Tensor table = tape.leaf(parameters.data(), gradients.data(), {V, C}, LeafGradient::overwrite);
  const Tensor weight =
      tape.leaf(parameters.data() + V * C, gradients.data() + V * C, {C}, LeafGradient::overwrite);
  const Tensor bias =
      tape.leaf(parameters.data() + V * C + C, gradients.data() + V * C + C, {C}, LeafGradient::overwrite);
  const Tensor x = gather(tape, table, ids);  // (N, C)
  const Tensor h = add(tape, x, tanh(tape, mul(tape, layernorm(tape, x, weight, bias), weight)));
  const Tensor shifted = sub(tape, h, max(tape, h, 1, true));
  const Tensor log_p = sub(tape, shifted, log(tape, sum(tape, exp(tape, shifted), 1, true)));
  const Tensor loss = neg(tape, mean(tape, pick(tape, log_p, targets)));
  tape.backward(loss);
  const float value = loss.item();
  tape.clear();
  return value;
}

TEST_CASE("tape: after the first steps a step allocates nothing; any number of threads gives the same bits") {
  const std::int64_t N = 700;
  std::vector<std::int32_t> ids(N), targets(N);
  Rng rng(1);
  for (auto* list : {&ids, &targets}) {
    for (std::int32_t& id : *list) id = static_cast<std::int32_t>(rng.below(50));
  }
  const Tensor id(ids.data(), {N}), target(targets.data(), {N});
  std::vector<float> parameters = random_floats(50 * 64 + 128, 2, 0.5), first;
  const RestoreThreads restore;
  for (int count : {1, 2, 4}) {
    set_threads(count);
    std::vector<float> gradients(parameters.size(), NAN);
    Tape tape;
    float loss = 0;
    CHECK(reaches_steady_state([&] { loss = train_step(tape, parameters, gradients, id, target); }));
    CHECK(loss > 3.0f);
    if (first.empty()) first = gradients;
    CHECK(gradients == first);
  }
  if (kCountsAllocations) {
    const std::int64_t news = allocations();
    void* one = ::operator new(100);  // a direct call, because a compiler may remove a new-expression
    ::operator delete(one);
    CHECK(allocations() == news + 1);  // allocations() really counts
  }
}

}  // namespace
}  // namespace inkling
