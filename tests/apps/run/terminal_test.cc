// What terminal() finds out, on a pseudo-terminal and on a pipe.
#include "apps/run/terminal.h"

#include <unistd.h>

#include "tests/apps/pseudo_terminal.h"
#include "tests/catch.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("terminal: a pseudo-terminal has its width, and a new one after it was resized") {
  const Environment type("TERM", "xterm"), color("NO_COLOR", nullptr);
  const PseudoTerminal pty;
  REQUIRE(pty.slave >= 0);
  pty.resize(80);
  CHECK(terminal(pty.slave).columns == 80);
  pty.resize(40);
  CHECK(terminal(pty.slave).columns == 40);
  pty.resize(0);  // unknown
  CHECK(terminal(pty.slave).columns == 80);
  CHECK(terminal(pty.slave).redraws);
}

TEST_CASE("terminal: a dumb terminal, and one without TERM, get no escape codes") {
  const PseudoTerminal pty;
  REQUIRE(pty.slave >= 0);
  for (const char* type : {"dumb", "", static_cast<const char*>(nullptr)}) {
    const Environment environment("TERM", type);
    CHECK_FALSE(terminal(pty.slave).redraws);
    CHECK(terminal(pty.slave).columns > 0);
  }
}

TEST_CASE("terminal: NO_COLOR, unless it is empty, turns escape codes off") {
  const Environment type("TERM", "xterm");
  const PseudoTerminal pty;
  REQUIRE(pty.slave >= 0);
  const auto redraws = [&](const char* value) {
    const Environment color("NO_COLOR", value);
    return terminal(pty.slave).redraws;
  };
  CHECK_FALSE(redraws("1"));
  CHECK(redraws(""));
  CHECK(redraws(nullptr));
}

TEST_CASE("terminal: a pipe has no width, and is never redrawn") {
  const Environment type("TERM", "xterm");
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  CHECK(terminal(ends[1]).columns == 0);
  CHECK_FALSE(terminal(ends[1]).redraws);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("terminal: the first of LC_ALL, LC_CTYPE and LANG that is not empty decides about UTF-8") {
  const auto utf8 = [](const char* all, const char* ctype, const char* lang) {
    const Environment a("LC_ALL", all), c("LC_CTYPE", ctype), l("LANG", lang);
    return terminal(STDERR_FILENO).utf8;
  };
  CHECK(utf8(nullptr, nullptr, "en_US.UTF-8"));
  CHECK(utf8("C.utf8", "C", "C"));
  CHECK(utf8("", "de_DE.UTF-8", "C"));
  CHECK_FALSE(utf8("C", "en_US.UTF-8", "en_US.UTF-8"));
  CHECK_FALSE(utf8(nullptr, "POSIX", "en_US.UTF-8"));
  CHECK_FALSE(utf8(nullptr, nullptr, "de_DE.ISO-8859-1"));
  CHECK_FALSE(utf8(nullptr, nullptr, nullptr));
}

}  // namespace
}  // namespace inkling
