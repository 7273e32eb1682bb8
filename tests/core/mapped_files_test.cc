// A mapped file that becomes shorter while it is read.
#include "core/mapped_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/binary_file.h"
#include "tests/catch.h"
#include "tests/emulator.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

// Runs f in a child process with the handler of report_shortened_files(). Returns the exit status and stderr.
template <class F>
std::pair<int, std::string> in_child(F f) {
  const test::TemporaryDirectory temporary;
  const pid_t child = fork();
  if (child == 0) {
    dup2(open((temporary / "err").c_str(), O_WRONLY | O_CREAT, 0644), STDERR_FILENO);
    report_shortened_files();
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          test::read_text(temporary / "err")};
}

constexpr std::size_t kBytes = 3 * 4096;

std::string file_in(const test::TemporaryDirectory& temporary, const char* name) {
  const std::string path = temporary / name;
  test::write_text(path, std::string(kBytes, 'x'));
  return path;
}

TEST_CASE(
    "mapped files: reading a part that another program cut off ends with one line that names the file") {
  const test::TemporaryDirectory temporary;
  const std::string first = file_in(temporary, "first"), second = file_in(temporary, "second");
  const auto [status, err] = in_child([&] {
    const FileView one(first);
    FileView moved = FileView(second);
    const FileView two = std::move(moved);
    std::filesystem::resize_file(second, 4096);
    [[maybe_unused]] volatile std::byte read = one.bytes()[kBytes - 1];
    read = two.bytes()[4095];
    read = two.bytes()[kBytes - 1];
  });
  CHECK(status == 1);
  CHECK(err == "inkling: " + second +
                   ": the file became shorter while it was read, expected it to stay as it was\n");
}

TEST_CASE("mapped files: if many threads read missing parts at once, one line is printed") {
  test::skip_if_emulated("several SIGBUS at once end qemu 7.2");
  const test::TemporaryDirectory temporary;
  const std::string path = file_in(temporary, "file");
  for (int attempt = 0; attempt < 20; ++attempt) {
    test::write_text(path, std::string(kBytes, 'x'));
    const auto [status, err] = in_child([&] {
      const FileView view(path);
      std::filesystem::resize_file(path, 0);
      std::atomic<int> ready = 0;
      const auto read = [&] {
        for (++ready; ready < 8;) {
        }
        [[maybe_unused]] volatile std::byte byte = view.bytes()[0];
      };
      std::vector<std::jthread> threads;
      for (int i = 0; i < 8; ++i) threads.emplace_back(read);
    });
    CHECK(status == 1);
    REQUIRE(err == "inkling: " + path +
                       ": the file became shorter while it was read, expected it to stay as it was\n");
  }
}

TEST_CASE("mapped files: a SIGBUS that another process sends ends the program without a line about a file") {
  test::skip_if_emulated("it prints a line about the signal");
  const auto [status, err] = in_child([] { kill(getpid(), SIGBUS); });
  CHECK(status == 128 + SIGBUS);
  CHECK(err.empty());
}

TEST_CASE("mapped files: a file that is no longer mapped is forgotten, and its place is used again") {
  const test::TemporaryDirectory temporary;
  const std::string path = file_in(temporary, "file"), last = file_in(temporary, "last");
  const auto [status, err] = in_child([&] {
    for (int i = 0; i < 5000; ++i) FileView{path};
    const FileView view(last);
    std::filesystem::resize_file(last, 10);
    [[maybe_unused]] volatile std::byte read = view.bytes()[kBytes - 1];
  });
  CHECK(status == 1);
  CHECK(err.starts_with("inkling: " + last + ": "));
}

}  // namespace
}  // namespace inkling
