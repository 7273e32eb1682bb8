// The profile: the events that it records and the events that it leaves out.
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

// Forward and backward of gelu(x w^T), with x (2,3) and w (4,3).
void take_step(Tape& tape) {
  static std::vector<float> x = random_floats(6, 1), w = random_floats(12, 2), dw(12), dx(6), dy(8, 1.0f);
  tape.clear();
  const Tensor input = tape.leaf(x.data(), dx.data(), {2, 3}, LeafGradient::overwrite);
  const Tensor weight = tape.leaf(w.data(), dw.data(), {4, 3}, LeafGradient::overwrite);
  tape.backward(dot(tape, gelu(tape, linear(tape, input, weight, Tensor{})), dy.data()));
}

TEST_CASE(
    "profile: a step has one event for each forward op and each backward node, inside the step's time") {
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  take_step(tape);  // not recorded, because no step has begun
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
  std::sort(backward.begin() + 3, backward.end());  // these two nodes may run in either order
  CHECK(backward[3] == "linear.dweight");
  CHECK(backward[4] == "linear.dx");
  for (const ProfileEvent& event : step.events) {
    CHECK(event.begin_ns >= step.begin_ns);
    CHECK(event.end_ns >= event.begin_ns);
    CHECK(event.end_ns <= step.end_ns);
  }
}

TEST_CASE("profile: an event has the shape of the result, the work and the memory it took") {
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  profile.begin_step(1);
  take_step(tape);
  for (const ProfileEvent& event : profile.end_step().events) {
    if (std::string(event.name) == "plan") {
      // The gradients of linear's and gelu's results, a cache line each.
      CHECK(event.allocated_bytes == 2 * 64);
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
      CHECK(event.allocated_bytes >= 64);  // also has linear's nodes, which are recorded after linear's event
  }
}

TEST_CASE("profile: the events of every step report the same memory, also after clear()") {
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  const auto bytes_of_a_step = [&](std::int64_t number) {
    profile.begin_step(number);
    take_step(tape);
    std::vector<std::int64_t> bytes;
    for (const ProfileEvent& event : profile.end_step().events) bytes.push_back(event.allocated_bytes);
    return bytes;
  };
  const std::vector<std::int64_t> first = bytes_of_a_step(1);
  CHECK(first.front() == 64);  // the result of linear
  for (const std::int64_t number : {2, 3}) CHECK(bytes_of_a_step(number) == first);
}

TEST_CASE(
    "profile: recomputation has an event for each op, forward and backward, and none for its own node") {
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

TEST_CASE("profile: a scope inside another scope of the same thread has no event of its own") {
  Profile profile;
  profile.begin_step(1);
  {
    const ProfileScope outer(&profile, Phase::data, "outer");
    const ProfileScope inner(&profile, Phase::update, "inner");
  }
  { const ProfileScope after(&profile, Phase::update, "after"); }
  { const ProfileScope without_profile(nullptr, Phase::update, "not recorded"); }
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

TEST_CASE("profile: with Loops::on, an event lists the chunks of its loops, but not of loops inside them") {
  const RestoreThreads restore;
  set_threads(1);
  Profile profile(Profile::Loops::on);
  profile.begin_step(1);
  parallel_chunks(3, [](std::int64_t) {});  // not recorded, because no scope is open
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

TEST_CASE("profile: with Loops::on, a step lists its own loops only, also when its memory is used again") {
  Profile profile(Profile::Loops::on);
  Tape tape;
  tape.profile_into(&profile);
  const RestoreThreads restore;
  set_threads(1);
  std::vector<std::size_t> loops;
  for (std::int64_t number = 1; number <= 2 * static_cast<std::int64_t>(Profile::kKeptSteps); ++number) {
    profile.begin_step(number);
    take_step(tape);
    loops.push_back(profile.end_step().loops.size());
  }
  CHECK(loops.front() > 0);
  CHECK(loops == std::vector<std::size_t>(loops.size(), loops.front()));
}

}  // namespace
}  // namespace inkling
