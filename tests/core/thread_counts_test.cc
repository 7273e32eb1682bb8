// Loops on any number of threads, and loops that do not run during a rehearsal.
#include <atomic>

#include "core/parallel.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("parallel: a hundred threads run each chunk once, for fewer and for more chunks than threads") {
  const RestoreThreads restore;
  set_threads(100);
  CHECK(threads() == 100);
  for (const std::int64_t chunks : {1, 2, 63, 64, 65, 99, 100, 101, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(chunks));
    parallel_chunks(chunks, [&](std::int64_t i) { ++runs.at(static_cast<std::size_t>(i)); });
    CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& r) { return r == 1; }));
  }
}

TEST_CASE("parallel: 1 and 1,024 threads are allowed, and ceil_div rounds up") {
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

TEST_CASE("parallel: during a rehearsal no loop runs, with one chunk or with many") {
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

}  // namespace
}  // namespace inkling
