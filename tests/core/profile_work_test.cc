// The contents of a profile's events: work, pages, threads and loops.
#include <thread>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("profile: the work of an op counts each tensor's bytes once, in its own dtype") {
  std::vector<float> x(100);
  std::vector<bf16> half(100);
  std::vector<std::int32_t> ids(7);
  const Tensor a(x.data(), {4, 5}), b(half.data(), {3}), c(ids.data(), {7});
  CHECK(moving({a, b, c, Tensor{}}).bytes == 80 + 6 + 28);
  CHECK(moving({a}).flops == 0);
  const Work f32 = multiplying(1000, {a, b}), bf16_work = multiplying(1, {b, a});
  CHECK(f32.flops == 2000);
  CHECK(f32.bytes == 86);
  CHECK(f32.operands == DType::f32);
  CHECK(bf16_work.operands == DType::bf16);
  CHECK(bf16_work.flops == 2);
}

TEST_CASE("profile: phases have their names") {
  CHECK(std::string(name(Phase::data)) == "data");
  CHECK(std::string(name(Phase::forward)) == "forward");
  CHECK(std::string(name(Phase::recomputed)) == "recomputed");
  CHECK(std::string(name(Phase::backward)) == "backward");
  CHECK(std::string(name(Phase::update)) == "update");
}

TEST_CASE("profile: a step counts the pages mapped during it and records nothing after its end") {
  Profile profile;
  const Pages before(1);
  for (const std::int64_t number : {4, 5}) {
    profile.begin_step(number);
    { const ProfileScope scope(&profile, Phase::data, "inside", Shape{2, 3}, Work{1, 2}, 77); }
    const Pages one(1), two(1);
    const ProfileStep& step = profile.end_step();
    { const ProfileScope scope(&profile, Phase::data, "outside"); }
    CHECK(step.page_allocations == 2);
    REQUIRE(step.events.size() == 1);
    CHECK(step.events[0].allocated_bytes == 77);
    CHECK(step.events[0].shape == Shape{2, 3});
    CHECK(step.events[0].work.flops == 1);
    CHECK(step.events[0].work.bytes == 2);
    CHECK(step.events[0].node == -1);
    CHECK(step.events[0].loops == 0);
    CHECK(profile.kept().back()->number == number);
  }
  const Pages after(1);
  CHECK(profile.kept().back()->page_allocations == 2);
}

TEST_CASE("profile: an event has its thread's number: 0 for the training thread, above 0 for others") {
  Profile profile;
  profile.begin_step(1);
  { const ProfileScope scope(&profile, Phase::data, "ours"); }
  for (int i = 0; i < 2; ++i) {
    std::thread([&] { const ProfileScope scope(&profile, Phase::data, "theirs"); }).join();
  }
  const ProfileStep& step = profile.end_step();
  REQUIRE(step.events.size() == 3);
  CHECK(step.events[0].thread == 0);
  CHECK(step.events[1].thread > 0);
  CHECK(step.events[2].thread > step.events[1].thread);
}

TEST_CASE("profile: a scope with in_parts has no event, but each scope inside it has one") {
  Profile profile;
  profile.begin_step(1);
  {
    const ProfileScope whole(&profile, Phase::backward, "whole", {}, Work{.in_parts = true});
    { const ProfileScope part(&profile, Phase::backward, "part 1"); }
    {
      ProfileScope part(&profile, Phase::backward, "part 2");
      part.of_node(12), part.allocated(5);
    }
  }
  const ProfileStep& step = profile.end_step();
  REQUIRE(step.events.size() == 2);
  CHECK(std::string(step.events[0].name) == "part 1");
  CHECK(step.events[1].node == 12);
  CHECK(step.events[1].allocated_bytes == 5);
}

TEST_CASE("profile: with Loops::on, each event knows which of the step's loops are its own") {
  const RestoreThreads restore;
  set_threads(1);
  Profile profile(Profile::Loops::on);
  for (int step = 0; step < 2; ++step) {
    profile.begin_step(step);
    for (std::int64_t loops = 0; loops < 4; ++loops) {
      const ProfileScope scope(&profile, Phase::data, "loops");
      for (std::int64_t i = 0; i < loops; ++i) parallel_chunks(10 * loops + i, [](std::int64_t) {});
    }
    const ProfileStep& taken = profile.end_step();
    REQUIRE(taken.events.size() == 4);
    CHECK(taken.loops.size() == 6);
    for (std::size_t loops = 0; loops < 4; ++loops) {
      const ProfileEvent& event = taken.events[loops];
      REQUIRE(event.loops == loops);
      for (std::size_t i = 0; i < loops; ++i)
        CHECK(taken.loops.at(event.first_loop + i).chunks == static_cast<std::int64_t>(10 * loops + i));
    }
  }
}

}  // namespace
}  // namespace inkling
