// What the machine gives: memory that is used again by the best fit, threads in any number, and the CPU as
// Linux describes it.
#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/cpu.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// ---- Memory ----

// Three free workspaces that have used 1,000, 5,000 and 9,000 bytes, in the order asked for; returns where
// each begins.
std::vector<std::byte*> three_blocks(const std::vector<std::size_t>& order) {
  release_workspaces();
  std::vector<std::byte*> begins(3);
  const auto place = [&](std::size_t size, std::byte* begin) { begins[size / 4000] = begin; };
  const Workspace a(order[0]), b(order[1]), c(order[2]);
  place(order[0], a.bytes()), place(order[1], b.bytes()), place(order[2], c.bytes());
  return begins;
}

TEST_CASE("memory: a workspace takes the smallest block that has used enough, or lets the largest one grow") {
  for (const std::vector<std::size_t>& order : {std::vector<std::size_t>{1000, 5000, 9000},
                                                {9000, 5000, 1000},
                                                {5000, 9000, 1000},
                                                {5000, 1000, 9000}}) {
    const auto takes = [&](std::size_t size, std::size_t block, std::int64_t all_bytes) {
      INFO("a workspace of " << size);
      const std::vector<std::byte*> begins = three_blocks(order);
      CHECK(workspace_bytes() == 15000);
      const std::int64_t pages = page_allocations();
      const Workspace taken(size);
      CHECK(taken.bytes() == begins[block]);
      CHECK(workspace_bytes() == all_bytes);
      CHECK(page_allocations() == pages);
    };
    takes(1, 0, 15000);
    takes(1000, 0, 15000);
    takes(1001, 1, 15000);
    takes(5000, 1, 15000);
    takes(5001, 2, 15000);
    takes(9000, 2, 15000);
    takes(9001, 2, 15001);
  }
  release_workspaces();
}

TEST_CASE("memory: a workspace is never shorter than asked for, however large the others are") {
  release_workspaces();
  constexpr std::size_t kLarge = std::size_t{300} << 20,
                        kSmall = 1000;  // more than a block has at least, and less
  { const Workspace small(kSmall); }
  const std::int64_t pages = page_allocations();
  {
    const Workspace large(kLarge);
    CHECK(page_allocations() == pages + 1);
    large.bytes()[kLarge - 1] = std::byte{1};
  }
  CHECK(workspace_bytes() == static_cast<std::int64_t>(kLarge + kSmall));
  { const Workspace large(kLarge); }
  { const Workspace small(kSmall); }
  CHECK(page_allocations() == pages + 1);
  release_workspaces();
  CHECK(workspace_bytes() == 0);
}

TEST_CASE("memory: pages are whole, at least one, and those moved from are none") {
  CHECK(Pages(0).size_bytes() == 4096);
  CHECK(Pages(4096).size_bytes() == 4096);
  CHECK(Pages(4097).size_bytes() == 8192);
  Pages from(10), to(std::move(from));
  CHECK(from.data() == nullptr);
  CHECK(from.size_bytes() == 0);
  CHECK(Pages().data() == nullptr);
}

TEST_CASE("memory: an arena fills its slab to the last byte before it asks for another") {
  constexpr std::size_t kSlab = std::size_t{1} << 30, kLine = Arena::kAlignment;
  Arena arena;
  const std::int64_t pages = page_allocations();
  auto* first = static_cast<std::byte*>(arena.allocate(kSlab - kLine));
  CHECK(arena.allocate(kLine) == first + (kSlab - kLine));
  CHECK(page_allocations() == pages + 1);
  CHECK(arena.used_bytes() == kSlab);
  arena.allocate(1);
  CHECK(page_allocations() == pages + 2);
  CHECK(arena.used_bytes() == kSlab + kLine);
  arena.reset();
  CHECK(arena.peak_bytes() == kSlab + kLine);
  CHECK(arena.allocate(1) == first);
  CHECK(arena.peak_bytes() == kSlab + kLine);
}

// ---- Threads ----

TEST_CASE("parallel: a hundred threads run each chunk once, be there fewer chunks than threads or more") {
  const RestoreThreads restore;
  set_threads(100);
  CHECK(threads() == 100);
  for (const std::int64_t chunks : {1, 2, 63, 64, 65, 99, 100, 101, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(chunks));
    parallel_chunks(chunks, [&](std::int64_t i) { ++runs.at(static_cast<std::size_t>(i)); });
    CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& r) { return r == 1; }));
  }
}

TEST_CASE("parallel: 1 and 1,024 threads are allowed; a division is rounded up") {
  const RestoreThreads restore;
  CHECK_NOTHROW(set_threads(1024));
  CHECK(threads() == 1024);
  CHECK_NOTHROW(set_threads(1));
  CHECK_THROWS_WITH(set_threads(-1), contains("threads: got -1, expected 1 to 1024"));
  CHECK(threads() == 1);
  CHECK(ceil_div(0, 4) == 0);
  CHECK(ceil_div(1, 4) == 1);
  CHECK(ceil_div(4, 4) == 1);
  CHECK(ceil_div(5, 4) == 2);
}

TEST_CASE("parallel: a rehearsal keeps every loop from running, of one chunk or of many") {
  const RestoreThreads restore;
  for (const int count : {1, 3}) {
    set_threads(count);
    std::atomic<std::int64_t> calls{0};
    {
      const Rehearsal rehearsal;
      parallel_chunks(10, [&](std::int64_t) { ++calls; });
      parallel_for(1, 1, [&](std::int64_t, std::int64_t) { ++calls; });
      std::vector<float> x(5, 1.0f);
      parallel_fill(x.data(), 5, 2.0f);
      CHECK(x == std::vector<float>(5, 1.0f));
    }
    CHECK(calls == 0);
    parallel_chunks(10, [&](std::int64_t) { ++calls; });
    CHECK(calls == 10);
  }
}

// ---- The CPU ----

TEST_CASE("cpu: instruction sets have the names that INKLING_ISA takes") {
  CHECK(std::string(name(Isa::scalar)) == "scalar");
  CHECK(std::string(name(Isa::sse2)) == "sse2");
  CHECK(std::string(name(Isa::avx2)) == "avx2");
  CHECK(std::string(name(Isa::avx512)) == "avx512");
  CHECK(std::string(name(Isa::avx512_bf16)) == "avx512_bf16");
  CHECK(std::string(name(Isa::amx)) == "amx");
}

TEST_CASE("cpu: available are the plain ones and those that the CPU has the features of, in order") {
  std::vector<Isa> want = {Isa::scalar, Isa::sse2};
  if (cpu().avx2) want.push_back(Isa::avx2);
  if (cpu().avx512) want.push_back(Isa::avx512);
  if (cpu().avx512_bf16) want.push_back(Isa::avx512_bf16);
  if (cpu().amx_bf16) want.push_back(Isa::amx);
  CHECK(available_isas() == want);
}

// The value of a key of the first CPU in /proc/cpuinfo; empty if there is none.
std::string cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 1);
  }
  return "";
}

TEST_CASE("cpu: features and name are those that Linux reports") {
  const std::string flags = cpuinfo("flags") + " ";
  if (flags == " ") return;  // Linux names features otherwise, or not at all, on other kinds of CPU
  const auto has = [&](const char* list) {
    std::istringstream words(list);
    for (std::string word; words >> word;) {
      if (flags.find(" " + word + " ") == std::string::npos) return false;
    }
    return true;
  };
  CHECK(cpu().avx2 == has("avx avx2 fma"));
  CHECK(cpu().avx512 == has("avx2 fma avx512f avx512bw avx512cd avx512dq avx512vl"));
  CHECK(cpu().avx512_bf16 == (cpu().avx512 && has("avx512_bf16 avx512_vnni")));
  if (cpu().amx_bf16) CHECK(has("amx_tile amx_bf16"));  // which the system may also withhold from a process
  std::istringstream name(cpuinfo("model name"));
  for (std::string word; name >> word;) CHECK(cpu().model.find(word) != std::string::npos);
}

// ---- The profile ----

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

TEST_CASE("profile: a step counts the pages that were asked for in it, and hears of nothing after its end") {
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

TEST_CASE("profile: events know their thread: 0 takes the steps, others have numbers of their own") {
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

TEST_CASE("profile: work in parts has no event of its own and hides none of its parts") {
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

TEST_CASE("profile: with loops on, each event finds its own loops among those of the step") {
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
