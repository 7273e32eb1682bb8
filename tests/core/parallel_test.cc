// Loops over fixed chunks on 1 to 4 threads, and the choice of instruction set.
#include "core/parallel.h"

#include <tbb/global_control.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <latch>
#include <numeric>
#include <thread>
#include <utility>

#include "core/cpu.h"
#include "core/error.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Runs `body` with 1, 2, 3 and 4 threads.
template <class F>
void on_each_thread_count(F body) {
  const RestoreThreads restore;
  for (int count = 1; count <= 4; ++count) {
    INFO(count << " threads");
    set_threads(count);
    REQUIRE(threads() == count);
    body();
  }
}

TEST_CASE("parallel: every chunk runs exactly once") {
  on_each_thread_count([] {
    for (std::int64_t chunks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(chunks));
      parallel_chunks(chunks, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      bool once = true;
      for (const auto& r : runs) once = once && r == 1;
      CHECK(once);
    }
  });
}

TEST_CASE("parallel: the ranges of a loop cover it once; all but the last have the chunk's size") {
  on_each_thread_count([] {
    for (std::int64_t n : {0, 1, 9, 10, 11, 95}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(n));
      std::atomic<bool> sizes{true};
      parallel_for(n, 10, [&](std::int64_t begin, std::int64_t end) {
        if (begin % 10 != 0 || end != std::min(n, begin + 10)) sizes = false;
        for (std::int64_t i = begin; i < end; ++i) ++runs[static_cast<std::size_t>(i)];
      });
      CHECK(sizes);
      CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& r) { return r == 1; }));
    }
  });
}

TEST_CASE("parallel: a loop may run inside a loop") {
  on_each_thread_count([] {
    std::vector<std::atomic<int>> runs(20 * 30);
    parallel_chunks(20, [&](std::int64_t i) {
      parallel_chunks(30, [&](std::int64_t j) { ++runs[static_cast<std::size_t>(i * 30 + j)]; });
    });
    bool once = true;
    for (const auto& r : runs) once = once && r == 1;
    CHECK(once);
  });
}

TEST_CASE("parallel: a thread that waits for the end of a loop does not start another task meanwhile") {
  const RestoreThreads restore;
  set_threads(4);
  static thread_local bool in_task = false;
  std::atomic<int> tasks_in_tasks{0};
  const auto start = [](Tasks& tasks) {
    for (std::int32_t i = 0; i < 300; ++i) tasks.spawn(i);
  };
  run_tasks(start, [&](Tasks&, std::int32_t) {
    if (in_task) ++tasks_in_tasks;
    const bool before = std::exchange(in_task, true);
    // The first chunk takes longer than the others, so the threads that computed the others wait for it.
    parallel_chunks(4, [](std::int64_t chunk) {
      std::this_thread::sleep_for(std::chrono::microseconds(chunk == 0 ? 500 : 10));
    });
    in_task = before;
  });
  CHECK(tasks_in_tasks == 0);
}

TEST_CASE("parallel: an exception reaches the caller, and the next loop works again") {
  on_each_thread_count([] {
    CHECK_THROWS_WITH(parallel_chunks(100,
                                      [](std::int64_t i) {
                                        if (i == 57) fail("chunk ", i);
                                      }),
                      contains("chunk 57"));
    std::atomic<int> runs{0};
    parallel_chunks(100, [&](std::int64_t) { ++runs; });
    CHECK(runs == 100);
  });
}

TEST_CASE("parallel: four threads really run at the same time, even on fewer cores") {
  const RestoreThreads restore;
  set_threads(4);
  using Control = tbb::global_control;
  REQUIRE(Control::active_value(Control::max_allowed_parallelism) ==
          4);  // otherwise the loop below would never end
  // No chunk ends before all four have begun. A waiting thread sleeps, so one busy core is enough.
  std::latch all_present(4);
  parallel_chunks(4, [&](std::int64_t) { all_present.arrive_and_wait(); });
  CHECK(all_present.try_wait());
}

TEST_CASE("parallel: loops may start on any thread") {
  std::atomic<std::int64_t> total{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] { parallel_chunks(50, [&](std::int64_t i) { total += i; }); });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 3 * 49 * 25);
}

TEST_CASE("parallel: wrong thread counts are errors") {
  CHECK_THROWS_WITH(set_threads(0), contains("threads: got 0, expected 1 to 1024"));
  CHECK_THROWS_WITH(set_threads(1025), contains("got 1025"));
  CHECK(hardware_threads() >= 1);
}

// Sets INKLING_ISA and restores the old value at the end.
struct IsaVariable {
  explicit IsaVariable(const char* value) {
    if (const char* old = std::getenv("INKLING_ISA")) before = old;
    setenv("INKLING_ISA", value, 1);
  }
  ~IsaVariable() {
    if (before.empty()) {
      unsetenv("INKLING_ISA");
    } else {
      setenv("INKLING_ISA", before.c_str(), 1);
    }
  }
  std::string before;
};

TEST_CASE(
    "cpu: INKLING_ISA selects the instruction set; empty means the best; a wrong name lists the choices") {
  const std::vector<Isa> isas = available_isas();
  REQUIRE(isas.size() >= 2);
  CHECK(isas[0] == Isa::scalar);
  CHECK(std::is_sorted(isas.begin(), isas.end()));
  for (Isa isa : isas) {
    const IsaVariable variable(name(isa));
    CHECK(chosen_isa() == isa);
  }
  {
    const IsaVariable variable("");
    CHECK(chosen_isa() == isas.back());
  }
  for (const char* wrong : {"avx3", "AVX2", "avx2 "}) {
    const IsaVariable variable(wrong);
    CHECK_THROWS_WITH(chosen_isa(), contains(str("INKLING_ISA=", wrong)) &&
                                        contains(str("expected one of scalar, ", name(isas[1]))));
  }
}

TEST_CASE("cpu: avx512 implies avx2, avx512_bf16 implies avx512, and amx_bf16 implies avx512_bf16") {
  const CpuFeatures& f = cpu();
  CHECK((!f.avx512 || f.avx2));
  CHECK((!f.avx512_bf16 || f.avx512));
  CHECK((!f.amx_bf16 || f.avx512_bf16));
  CHECK_FALSE(f.model.empty());
  CHECK(&cpu() == &f);
}

}  // namespace
}  // namespace inkling
