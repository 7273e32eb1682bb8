// Runs the inkling binary as a process, like a user. The environment variable INKLING has its path; `make
// test` sets it.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/apps/text/words.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

inline std::string binary() {
  const char* named = std::getenv("INKLING");
  return named != nullptr ? named : "build/inkling";
}

struct Outcome {
  int status;  // exit status, or 128 + signal
  std::string out, err;
};

class Process {
 public:
  // After `seconds`, SIGALRM ends the process; 0: never. stdin is the file `input`, or the test's own stdin
  // if `input` is empty.
  explicit Process(const std::vector<std::string>& arguments, unsigned seconds = 0,
                   const std::string& input = "", std::string program = binary()) {
    pid_ = fork();
    if (pid_ != 0) return;
    alarm(seconds);
    const auto to = [](const std::string& path, int fd) {
      dup2(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), fd);
    };
    to(out_path(), STDOUT_FILENO);
    to(err_path(), STDERR_FILENO);
    if (!input.empty()) dup2(open(input.c_str(), O_RDONLY), STDIN_FILENO);
    std::vector<std::string> copies = arguments;
    std::vector<char*> argv = {program.data()};
    for (std::string& a : copies) argv.push_back(a.data());
    argv.push_back(nullptr);
    execvp(program.c_str(), argv.data());
    _exit(127);
  }
  pid_t pid() const { return pid_; }
  void send(int signal) const { kill(pid_, signal); }
  // Returns as soon as reached() is true, however long that takes, or when the process has ended.
  template <class F>
  void watch(F reached) const {
    // The pause leaves the core to the process. No result depends on its length.
    while (!reached() && running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::string out_so_far() const { return read_text(out_path()); }
  std::string err_so_far() const { return read_text(err_path()); }
  Outcome wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(out_path()),
            read_text(err_path())};
  }

 private:
  std::string out_path() const { return directory_ / "out"; }
  std::string err_path() const { return directory_ / "err"; }
  bool running() const {
    siginfo_t ended{};
    waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    return ended.si_pid == 0;
  }

  TemporaryDirectory directory_;
  pid_t pid_ = 0;
};

inline Outcome run(const std::vector<std::string>& arguments, unsigned seconds = 0,
                   const std::string& input = "") {
  return Process(arguments, seconds, input).wait();
}

// Checks that the command fails with this exit status and one line on stderr that contains all `words`.
inline void expect(const std::vector<std::string>& arguments, int status,
                   const std::vector<std::string>& words) {
  const Outcome outcome = run(arguments);
  std::string command;
  for (const std::string& a : arguments) command += a + " ";
  INFO(command << "\n" << outcome.err);
  CHECK(outcome.status == status);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  for (const std::string& word : words) CHECK_THAT(outcome.err, contains(word));
}

// A command line that trains a small model for twenty steps. It is small enough to be trained in a test.
inline std::vector<std::string> twenty_steps(const std::string& out) {
  return {"train",
          "--out",
          out,
          "--data",
          "tests/goldens/curve_tokens.bin",
          "--vocab-size",
          "131",
          "--layers",
          "2",
          "--heads",
          "2",
          "--channels",
          "32",
          "--seq-len",
          "16",
          "--batch-size",
          "4",
          "--precision",
          "f32",
          "--steps",
          "20",
          "--sample-every",
          "0"};
}

}  // namespace inkling::test
