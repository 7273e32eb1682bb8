// With AddressSanitizer: an access behind the end of mapped memory, or to memory that was freed, ends the
// program with a report. Other builds do not compile these tests.
#include "core/poison.h"

#if defined(INKLING_POISONS)

#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "core/memory.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Runs `access` in a child process. Returns whether AddressSanitizer reports forbidden memory and ends it.
template <class F>
bool is_reported(F access) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    access();
    _exit(0);
  }
  close(ends[1]);
  std::string report;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    report.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  const bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return !ended_well && report.find("use-after-poison") != std::string::npos;
}

void write(void* block, std::size_t at) {
  static_cast<volatile char*>(block)[at] = 1;
}

TEST_CASE("poison: a write behind the end of pages is reported, up to a page further") {
  for (const std::size_t size : {1u, 4095u, 4096u, 4097u, 3u << 20}) {
    INFO(size << " bytes");
    const Pages pages(size);
    CHECK_FALSE(is_reported([&] { write(pages.data(), size - 1); }));
    CHECK(is_reported([&] { write(pages.data(), size); }));
    CHECK(is_reported([&] { write(pages.data(), size + 4095); }));
  }
}

TEST_CASE("poison: a write behind the end of a workspace is reported, also if its block was larger before") {
  release_workspaces();
  { const Workspace larger(100000); }
  for (const std::size_t size : {1000u, 4096u, 99999u}) {
    INFO(size << " bytes");
    const Workspace workspace(size);
    CHECK_FALSE(is_reported([&] { write(workspace.bytes(), size - 1); }));
    CHECK(is_reported([&] { write(workspace.bytes(), size); }));
    CHECK(is_reported([&] { write(workspace.bytes(), 99999); }));
  }
}

TEST_CASE("poison: a write to a workspace that was returned is reported, until it is used again") {
  std::byte* freed = nullptr;
  {
    const Workspace workspace(1000);
    freed = workspace.bytes();
  }
  CHECK(is_reported([&] { write(freed, 0); }));
  const Workspace again(1000);
  REQUIRE(again.bytes() == freed);
  CHECK_FALSE(is_reported([&] { write(freed, 0); }));
}

TEST_CASE("poison: a write behind the end of a thread's scratch memory is reported") {
  for (const std::size_t size : {5000u, 100u, 3000u}) {
    void* scratch = thread_scratch(size);
    CHECK_FALSE(is_reported([&] { write(scratch, size - 1); }));
    CHECK(is_reported([&] { write(scratch, size); }));
  }
}

TEST_CASE("poison: a write behind an arena's last block, or to a block that was freed, is reported") {
  Arena arena;
  void* first = arena.allocate(10);
  CHECK_FALSE(is_reported([&] { write(first, 9); }));
  CHECK(is_reported([&] { write(first, 10); }));
  const Arena::Mark mark = arena.mark();
  void* second = arena.allocate(100000);
  CHECK(is_reported([&] { write(first, 10); }));  // between the blocks
  CHECK_FALSE(is_reported([&] { write(second, 99999); }));
  CHECK(is_reported([&] { write(second, 100000); }));
  arena.rewind(mark);
  CHECK_FALSE(is_reported([&] { write(first, 9); }));
  for (const std::size_t at : {0u, 50000u, 99999u}) CHECK(is_reported([&] { write(second, at); }));
  arena.reset();
  CHECK(is_reported([&] { write(first, 0); }));
}

TEST_CASE("poison: the result of a rewind is in use, and the memory behind it is not") {
  Tape tape(Recording::off);
  const Arena::Mark mark = tape.mark();
  for (const std::int64_t gap : {0, 1, 1000}) {
    INFO("a gap of " << gap);
    if (gap > 0) tape.keep(gap);
    const Tensor kept = tape.output({100}, {});
    std::fill_n(kept.f32(), 100, 3.0f);
    const Tensor moved = tape.rewind(mark, kept);
    CHECK(std::all_of(moved.f32(), moved.f32() + 100, [](float v) { return v == 3.0f; }));
    CHECK_FALSE(is_reported([&] { write(moved.f32(), 399); }));
    CHECK(is_reported([&] { write(moved.f32(), 400); }));
    tape.clear();
  }
}

}  // namespace
}  // namespace inkling

#endif
