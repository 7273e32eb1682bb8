// Memory and loops at sizes just below and just above the thresholds where the code takes another path.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>

#include "core/binary_file.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST_CASE("sizes: pages are zero and large enough, for sizes around 4 KiB and around 2 MiB") {
  for (const std::size_t unit : {std::size_t{4096}, 2 * kMiB}) {
    for (const std::size_t size : {unit - 1, unit, unit + 1}) {
      INFO(size << " bytes");
      const Pages pages(size);
      CHECK(pages.size_bytes() >= size);
      CHECK(pages.size_bytes() < size + 4096);
      for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
        CHECK(pages.data()[at] == std::byte{0});
        pages.data()[at] = std::byte{1};
      }
    }
  }
}

// An arena maps 1 GiB of address space at a time. Only pages that are written use memory.
TEST_CASE("sizes: an allocation that does not fit an arena's slab goes to the next slab, without overlap") {
  constexpr std::size_t kSlab = 1024 * kMiB;
  for (const std::size_t second : {kSlab - 64 - 64, kSlab - 64, kSlab - 64 + 1, kSlab, kSlab + 1}) {
    INFO(second << " bytes after 64");
    Arena arena;
    auto* a = static_cast<std::byte*>(arena.allocate(64));
    auto* b = static_cast<std::byte*>(arena.allocate(second));
    auto* c = static_cast<std::byte*>(arena.allocate(64));
    std::memset(a, 1, 64);
    b[0] = b[second - 1] = std::byte{2};
    std::memset(c, 3, 64);
    CHECK((a[0] == std::byte{1} && a[63] == std::byte{1}));
    CHECK((b[0] == std::byte{2} && b[second - 1] == std::byte{2}));
    CHECK(c[0] == std::byte{3});
    CHECK(arena.used_bytes() >= 64 + second + 64);
    CHECK(arena.peak_bytes() == arena.used_bytes());
  }
}

// A pooled block has at least 256 MiB of address space. A thread's scratch has at least 64 MiB.
TEST_CASE("sizes: workspaces and scratch larger than a pooled block have the requested size") {
  release_workspaces();
  for (const std::size_t size : {256 * kMiB - 1, 256 * kMiB, 256 * kMiB + 1, 300 * kMiB}) {
    INFO(size << " bytes");
    const Workspace before(100), large(size), after(100);
    large.bytes()[0] = large.bytes()[size - 1] = std::byte{1};
    std::memset(before.bytes(), 2, 100);
    std::memset(after.bytes(), 3, 100);
    CHECK((large.bytes()[0] == std::byte{1} && large.bytes()[size - 1] == std::byte{1}));
    CHECK((before.bytes()[99] == std::byte{2} && after.bytes()[99] == std::byte{3}));
    CHECK(workspace_bytes() >= static_cast<std::int64_t>(size));
  }
  release_workspaces();
  CHECK(workspace_bytes() == 0);
  for (const std::size_t size : {64 * kMiB, 64 * kMiB + 1, 200 * kMiB}) {
    auto* scratch = static_cast<std::byte*>(thread_scratch(size));
    scratch[0] = scratch[size - 1] = std::byte{4};
    CHECK((scratch[0] == std::byte{4} && scratch[size - 1] == std::byte{4}));
  }
}

// A loop divides its chunks into at most 64 shares, even if there are more threads.
TEST_CASE("sizes: with 63 to 66 threads every chunk runs exactly once, for 1 to 1,000 chunks") {
  const RestoreThreads restore;
  for (const int count : {63, 64, 65, 66}) {
    set_threads(count);
    for (const std::int64_t chunks : {1, 2, 63, 64, 65, 130, 1000}) {
      INFO(count << " threads, " << chunks << " chunks");
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(chunks));
      parallel_chunks(chunks, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& r) { return r == 1; }));
    }
  }
  CHECK_NOTHROW(set_threads(1024));
  CHECK(threads() == 1024);
}

TEST_CASE(
    "sizes: parallel_fill writes every number, for lengths around one chunk and for two chunks and a rest") {
  for (const std::int64_t n : {65535, 65536, 65537, 2 * 65536 + 100}) {
    Guarded x(n, 1);
    parallel_fill(x.data(), n, 0.5f);
    x.check();
    CHECK(std::all_of(x.values().begin(), x.values().end(), [](float v) { return v == 0.5f; }));
  }
}

}  // namespace
}  // namespace inkling
