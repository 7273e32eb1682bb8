// Pages, arena, workspace and scratch: alignment, reuse, and no new pages in the steady state.
#include "core/memory.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <thread>

#include "core/error.h"
#include "tests/allocation_count.h"
#include "tests/emulator.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::uintptr_t address(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p);
}

TEST_CASE("memory: pages are zero, writable and counted, and can be moved") {
  const std::int64_t before = page_allocations();
  Pages pages(5000);
  CHECK(page_allocations() == before + 1);
  CHECK(pages.size_bytes() == 8192);
  CHECK(address(pages.data()) % 4096 == 0);
  CHECK(pages.data()[4999] == std::byte{0});
  pages.data()[4999] = std::byte{1};
  Pages moved(std::move(pages));
  CHECK(moved.data()[4999] == std::byte{1});
  Pages other(1);
  other = std::move(moved);
  CHECK(other.size_bytes() == 8192);
  CHECK(page_allocations() == before + 2);
  CHECK_THROWS_WITH(Pages(std::size_t{1} << 60), contains("out of memory: cannot map"));
}

TEST_CASE("memory: an arena's allocations are aligned and do not overlap") {
  Arena arena;
  std::vector<std::byte*> blocks;
  const std::vector<std::size_t> sizes = {1, 63, 64, 65, 0, 1000};
  for (std::size_t size : sizes) {
    blocks.push_back(static_cast<std::byte*>(arena.allocate(size)));
    CHECK(address(blocks.back()) % Arena::kAlignment == 0);
    std::memset(blocks.back(), static_cast<int>(blocks.size()), size);
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (std::size_t i = 0; i < sizes[b]; ++i) REQUIRE(blocks[b][i] == static_cast<std::byte>(b + 1));
  }
  CHECK(arena.used_bytes() == 64 + 64 + 64 + 128 + 64 + 1024);
}

TEST_CASE("memory: after a rewind an arena gives the same memory again, without new pages") {
  Arena arena;
  arena.allocate(100);
  const Arena::Mark mark = arena.mark();
  void* first = arena.allocate(1000);
  arena.allocate(std::size_t{5} << 30);  // larger than a slab: the arena maps a separate slab for it
  void* after = arena.allocate(1000);
  const std::size_t peak = arena.peak_bytes();
  CHECK(peak >= std::size_t{5} << 30);
  const std::int64_t pages = page_allocations();
  for (int step = 0; step < 3; ++step) {
    arena.rewind(mark);
    CHECK(arena.used_bytes() == 128);
    CHECK(arena.allocate(1000) == first);
    arena.allocate(std::size_t{5} << 30);
    CHECK(arena.allocate(1000) == after);
  }
  CHECK(page_allocations() == pages);
  CHECK(arena.peak_bytes() == peak);
  arena.reset();
  CHECK(arena.used_bytes() == 0);
}

TEST_CASE("memory: a workspace comes from a pool, and two workspaces do not overlap") {
  { const Workspace warm(1000), up(1000); }
  const std::int64_t pages = page_allocations();
  for (int step = 0; step < 5; ++step) {
    const Workspace a(1000), b(2000);
    CHECK(address(a.bytes()) % 64 == 0);
    CHECK(a.bytes() != b.bytes());
    std::memset(a.bytes(), 1, 1000);
    std::memset(b.bytes(), 2, 2000);
    CHECK(std::all_of(a.bytes(), a.bytes() + 1000, [](std::byte x) { return x == std::byte{1}; }));
    CHECK(std::all_of(b.bytes(), b.bytes() + 2000, [](std::byte x) { return x == std::byte{2}; }));
  }
  CHECK(page_allocations() == pages);
}

TEST_CASE(
    "memory: workspace_bytes() counts all that was used, and a small workspace leaves the large block free") {
  release_workspaces();
  CHECK(workspace_bytes() == 0);
  { const Workspace large(9000), small(1000); }
  CHECK(workspace_bytes() == 10000);
  for (int step = 0; step < 5; ++step) {
    const Workspace small(800);
    const Workspace large(9000);
    CHECK(workspace_bytes() == 10000);
  }
  // The workspace of 1500 takes the block of 9000, so the other workspace makes the small block grow to 9000.
  { const Workspace grows(1500), large(9000); }
  CHECK(workspace_bytes() == 9000 + 9000);
  {
    const Workspace in_use(500);
    release_workspaces();
    CHECK(workspace_bytes() == 9000);
  }
  release_workspaces();
  CHECK(workspace_bytes() == 0);
}

TEST_CASE("memory: the destructors of workspaces request no memory, so they cannot fail") {
  release_workspaces();
  constexpr std::size_t kMany = 40;  // more than any other test uses at once
  std::vector<std::unique_ptr<const Workspace>> all;
  for (std::size_t i = 0; i < kMany; ++i) all.push_back(std::make_unique<Workspace>(1000));
  const std::int64_t before = allocations();
  for (auto& workspace : all) workspace.reset();
  CHECK(allocations() == before);
  CHECK(workspace_bytes() == 1000 * static_cast<std::int64_t>(kMany));
  release_workspaces();
}

TEST_CASE("memory: each thread has its own scratch memory, which grows when needed") {
  void* mine = thread_scratch(1000);
  CHECK(address(mine) % 64 == 0);
  CHECK(thread_scratch(500) == mine);
  void* theirs = nullptr;
  std::thread([&] { theirs = thread_scratch(1000); }).join();
  CHECK(theirs != nullptr);
  CHECK(theirs != mine);
  CHECK(thread_scratch(1000) == mine);
  auto* large = static_cast<std::byte*>(thread_scratch(std::size_t{100} << 20));
  large[(std::size_t{100} << 20) - 1] = std::byte{1};
  CHECK(thread_scratch(1000) == large);
}

// Runs in a process whose address space is limited. Returns 0 if everything is as expected.
int with_limited_address_space(std::size_t bytes) {
  const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  try {
    Arena arena;  // without a limit it would reserve 1 GiB
    std::memset(arena.allocate(1000), 1, 1000);
    const Workspace workspace(1000);  // without a limit, 256 MiB
    std::memset(workspace.bytes(), 1, 1000);
  } catch (const Error&) {
    return 3;
  }
  try {
    Pages(std::size_t{1} << 30);
  } catch (const Error& error) {
    const std::string message = error.what();
    return message.find(str("limit of ", bytes, " bytes of address space")) != std::string::npos ? 0 : 4;
  }
  return 5;
}

TEST_CASE(
    "memory: where the address space is limited, reservations are small, and the error names the limit") {
  skip_if_emulated("the emulator has its own address space");
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  statm >> pages;
  const std::size_t used = pages * 4096;
  if (used > std::size_t{1} << 40) skip("a sanitizer reserves terabytes of the address space");
  // Two reservations are a 16th of the limit. The address space in use depends on the threads of earlier
  // tests.
  const std::size_t room = used / 8 + (std::size_t{64} << 20);
  const pid_t child = fork();  // the limit would stay for the other tests
  if (child == 0) _exit(with_limited_address_space(used + room));
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace inkling
