// Runs the inkling binary on a pseudo-terminal, and sets environment variables for a test.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/apps/process.h"

namespace inkling::test {

// Sets an environment variable during its lifetime; nullptr removes it.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before, was_set_ = true;
    set(value);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { set(was_set_ ? before_.c_str() : nullptr); }

 private:
  void set(const char* value) const { value != nullptr ? setenv(name_, value, 1) : unsetenv(name_); }

  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

// Both ends of a new pseudo-terminal. It is raw: the bytes at the master are the bytes that were printed.
struct PseudoTerminal {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  int slave = -1;
  PseudoTerminal() {
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return;
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios settings = {};
    tcgetattr(slave, &settings);
    cfmakeraw(&settings);
    tcsetattr(slave, TCSANOW, &settings);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  ~PseudoTerminal() {
    close_slave();
    close(master);
  }
  void resize(unsigned short columns) const {
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(slave, TIOCSWINSZ, &size);
  }
  void close_slave() {
    if (slave >= 0) close(slave);
    slave = -1;
  }
};

// Runs inkling with stdout and stderr on a pseudo-terminal. `out` has all bytes that were printed; `err` is
// empty.
inline Outcome run_on_terminal(std::vector<std::string> arguments, unsigned short columns = 80) {
  PseudoTerminal terminal;
  terminal.resize(columns);
  std::string program = binary();
  std::vector<char*> argv = {program.data()};
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(terminal.slave, STDOUT_FILENO);
    dup2(terminal.slave, STDERR_FILENO);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  terminal.close_slave();
  Outcome outcome{};
  char bytes[4096];
  ssize_t count = 0;
  while ((count = read(terminal.master, bytes, sizeof bytes)) > 0)  // ends with EIO when the child has ended
    outcome.out.append(bytes, static_cast<std::size_t>(count));
  int status = 0;
  waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace inkling::test
