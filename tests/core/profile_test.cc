// The recorder of ops: what it hears of, what it leaves out.
#include "core/profile.h"

#include "core/parallel.h"
#include "core/recompute.h"
#include "core/tape.h"
#include "ops/gelu.h"
#include "ops/linear.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::vector<std::string> names(const ProfileStep& step, Phase phase) {
  std::vector<std::string> all;
  for (const ProfileEvent& event : step.events) {
    if (event.phase == phase) all.emplace_back(event.name);
  }
  return all;
}

// gelu(x w^T), differentiated: x (2,3), w (4,3).
void take_step(Tape& tape) {
  static std::vector<float> x = random_floats(6, 1), w = random_floats(12, 2), dw(12), dx(6), dy(8, 1.0f);
  tape.clear();
  const Tensor input = tape.leaf(x.data(), dx.data(), {2, 3}, LeafGradient::overwrite);
  const Tensor weight = tape.leaf(w.data(), dw.data(), {4, 3}, LeafGradient::overwrite);
  tape.backward(dot(tape, gelu(tape, linear(tape, input, weight, Tensor{})), dy.data()));
}

TEST_CASE("profile: a step's events are its ops forward and its nodes backward, each once, within the step") {
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  take_step(tape);  // outside of any step: not recorded
  profile.begin_step(7);
  take_step(tape);
  const ProfileStep& step = profile.end_step();
  CHECK(step.number == 7);
  CHECK(names(step, Phase::forward) == std::vector<std::string>{"linear", "gelu"});
  std::vector<std::string> backward = names(step, Phase::backward);
  REQUIRE(backward.size() == 5);
  CHECK(backward[0] == "plan");
  CHECK(backward[1] == "dot");
  CHECK(backward[2] == "gelu");
  std::sort(backward.begin() + 3, backward.end());  // in any order, on any thread
  CHECK(backward[3] == "linear.dweight");
  CHECK(backward[4] == "linear.dx");
  for (const ProfileEvent& event : step.events) {
    CHECK(event.begin_ns >= step.begin_ns);
    CHECK(event.end_ns >= event.begin_ns);
    CHECK(event.end_ns <= step.end_ns);
  }
}

TEST_CASE("profile: an event carries the shape of the result, the work and the memory it took") {
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  profile.begin_step(1);
  take_step(tape);
  for (const ProfileEvent& event : profile.end_step().events) {
    if (std::string(event.name) == "plan") {
      CHECK(event.allocated_bytes == 2 * 64);  // gradients of linear's result and gelu's, in cache lines
      continue;
    }
    if (std::string(event.name) == "dot") continue;
    CHECK(event.shape == Shape{2, 4});
    const bool product = std::string(event.name).starts_with("linear");
    CHECK(event.work.flops == (product ? 2 * 2 * 3 * 4 : 0));
    const double gelu_bytes = event.phase == Phase::forward ? 2 * 32 : 3 * 32;
    CHECK(event.work.bytes == (product ? 4 * (6 + 12 + 8) : gelu_bytes));
    if (event.phase != Phase::forward) continue;
    if (product) CHECK(event.allocated_bytes == 64);
    if (!product)
      CHECK(event.allocated_bytes >= 64);  // and linear's nodes, which were recorded after its event
  }
}

TEST_CASE("profile: what is recomputed is heard of op by op, forward and backward, and its node is not") {
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  std::vector<float> x = random_floats(6, 1), dx(6), dy(6, 1.0f);
  profile.begin_step(1);
  const Tensor input = tape.leaf(x.data(), dx.data(), {2, 3}, LeafGradient::overwrite);
  const Tensor y = recompute(tape, input, [](Tape& inner, const Tensor& z) { return gelu(inner, z); });
  tape.backward(dot(tape, y, dy.data()));
  const ProfileStep& step = profile.end_step();
  CHECK(names(step, Phase::forward) == std::vector<std::string>{"gelu"});
  CHECK(names(step, Phase::recomputed) == std::vector<std::string>{"gelu"});
  CHECK(names(step, Phase::backward) == std::vector<std::string>{"plan", "dot", "plan", "gelu"});
}

TEST_CASE("profile: a scope inside another one of the same thread is part of it") {
  Profile profile;
  profile.begin_step(1);
  {
    const ProfileScope outer(&profile, Phase::data, "outer");
    const ProfileScope inner(&profile, Phase::update, "inner");
  }
  { const ProfileScope after(&profile, Phase::update, "after"); }
  { const ProfileScope nobody_listens(nullptr, Phase::update, "unheard"); }
  const ProfileStep& step = profile.end_step();
  REQUIRE(step.events.size() == 2);
  CHECK(std::string(step.events[0].name) == "outer");
  CHECK(std::string(step.events[1].name) == "after");
}

TEST_CASE("profile: the last three steps are kept, oldest first") {
  Profile profile;
  CHECK(profile.kept().empty());
  for (int number = 1; number <= 5; ++number) {
    profile.begin_step(number);
    profile.end_step();
  }
  const auto kept = profile.kept();
  REQUIRE(kept.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(kept[i]->number == static_cast<std::int64_t>(3 + i));
}

TEST_CASE(
    "profile: with loops on, an event knows the chunks of every loop that it ran, but not of loops inside") {
  const RestoreThreads restore;
  set_threads(1);
  Profile profile(Profile::Loops::on);
  profile.begin_step(1);
  parallel_chunks(3, [](std::int64_t) {});  // no scope is open
  {
    const ProfileScope scope(&profile, Phase::data, "two loops");
    parallel_chunks(5, [](std::int64_t) { parallel_chunks(4, [](std::int64_t) {}); });
    parallel_for(10, 4, [](std::int64_t, std::int64_t) {});
  }
  const ProfileStep& step = profile.end_step();
  REQUIRE(step.loops.size() == 2);
  CHECK(step.loops[0].chunks == 5);
  CHECK(step.loops[1].chunks == 3);
  REQUIRE(step.events.size() == 1);
  CHECK(step.events[0].first_loop == 0);
  CHECK(step.events[0].loops == 2);
}

}  // namespace
}  // namespace inkling
