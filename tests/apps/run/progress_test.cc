// The progress lines on stderr if stderr is not a terminal, and the formats of numbers.
#include "apps/run/format.h"
#include "apps/run/format.h"
#include "apps/run/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include <limits>

#include "tests/apps/run/tiny_run.h"
#include "tests/catch.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Redirects stderr to /dev/null during its lifetime, so that it is not a terminal even if the tests run on
// one.
class NoTerminal {
 public:
  NoTerminal() : before_(dup(STDERR_FILENO)) {
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    close(null);
  }
  NoTerminal(const NoTerminal&) = delete;
  NoTerminal& operator=(const NoTerminal&) = delete;
  ~NoTerminal() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }

 private:
  int before_;
};

TEST_CASE(
    "progress: the first and the last step are plain lines with a bar, the loss and tokens per second") {
  const NoTerminal no_terminal;
  const CapturedErrors errors;
  Progress progress(4, 1001);
  // 0.4 s for 1,001 tokens are 2,502.5 tokens per second. The three steps that are left take 1.2 s.
  progress.update(1, 2.5, 400);
  progress.note("something happened");
  progress.update(4, 1.125, 400);
  CHECK(errors.text() ==
        "██████░░░░░░░░░░░░░░░░░░ step 1/4  loss 2.5000  2,502 tokens/s  ETA 1s\n"
        "something happened\n"
        "████████████████████████ step 4/4  loss 1.1250  2,502 tokens/s  done\n");
}

TEST_CASE("progress: the speed uses a moving average, in which a new step's time has a weight of a tenth") {
  const NoTerminal no_terminal;
  const CapturedErrors errors;
  Progress progress(2, 1000);
  progress.update(1, 1.0, 100);
  progress.update(2, 1.0, 1110);  // 0.9 * 100 + 0.1 * 1110 = 201 ms
  CHECK_THAT(errors.text(), contains("step 1/2  loss 1.0000  10,000 tokens/s  ETA 0s\n"));
  CHECK_THAT(errors.text(), contains("step 2/2  loss 1.0000  4,975 tokens/s  done\n"));
}

TEST_CASE("progress: durations, counts and decimals are formatted for people") {
  CHECK(format_duration(0) == "0s");
  CHECK(format_duration(59.4) == "59s");
  CHECK(format_duration(59.6) == "1m00s");
  CHECK(format_duration(75) == "1m15s");
  CHECK(format_duration(3599) == "59m59s");
  CHECK(format_duration(3600) == "1h00m");
  CHECK(format_duration(3 * 3600 + 5 * 60 + 59) == "3h05m");
  CHECK(format_duration(100 * 3600) == "100h00m");
  CHECK(format_count(0) == "0");
  CHECK(format_count(999) == "999");
  CHECK(format_count(1000) == "1,000");
  CHECK(format_count(124475904) == "124,475,904");
  CHECK(format_count(-999) == "-999");
  CHECK(format_count(-1000) == "-1,000");
  CHECK(format_count(-123456) == "-123,456");
  CHECK(format_fixed(3.14159, 2) == "3.14");
  CHECK(format_fixed(2.0, 0) == "2");
  CHECK(format_fixed(std::numeric_limits<double>::quiet_NaN(), 3) == "nan");
}

}  // namespace
}  // namespace inkling
