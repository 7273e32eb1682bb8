// The progress of a run on stderr, and the formats of numbers.
#include "apps/run/progress.h"

#include <limits>

#include "apps/run/format.h"

#include "tests/apps/run/tiny_run.h"
#include "tests/catch.h"

namespace inkling {
namespace {

using namespace inkling::test;

Terminal pipe() {
  return {.columns = 0, .redraws = false, .utf8 = true};
}

TEST_CASE(
    "progress: the first and the last step are plain lines with a bar, the loss and tokens per second") {
  const CapturedErrors errors;
  Progress progress(4, 1001, pipe);
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
  const CapturedErrors errors;
  Progress progress(2, 1000, pipe);
  progress.update(1, 1.0, 100);
  progress.update(2, 1.0, 1110);  // 0.9 * 100 + 0.1 * 1110 = 201 ms
  CHECK_THAT(errors.text(), contains("step 1/2  loss 1.0000  10,000 tokens/s  ETA 0s\n"));
  CHECK_THAT(errors.text(), contains("step 2/2  loss 1.0000  4,975 tokens/s  done\n"));
}

// The number of characters: bytes that do not continue a character of UTF-8.
std::int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

const ProgressState kState{
    .step = 1234, .total_steps = 5000, .loss = 1.5, .tokens_per_s = 81'234, .seconds_left = 75};

TEST_CASE("progress: the line fits into any width from 20 columns, with or without UTF-8") {
  for (int columns = 20; columns <= 120; ++columns) {
    for (const bool utf8 : {false, true}) {
      const std::string line = progress_line(kState, columns, utf8);
      INFO(columns << ": " << line);
      CHECK(characters(line) <= columns);
      CHECK_THAT(line, contains("step 1234/5000"));
      if (!utf8) CHECK(characters(line) == std::ssize(line));
    }
  }
}

TEST_CASE("progress: a narrow line loses its bar first, then the speed, the remaining time and the loss") {
  const std::string text = "step 1234/5000  loss 1.5000  81,234 tokens/s  ETA 1m15s";
  CHECK(progress_line(kState, 0, false) == "#####................... " + text);
  CHECK(progress_line(kState, 200, false) == "#####................... " + text);
  CHECK(progress_line(kState, 80, false) == "#####................... " + text);
  CHECK(progress_line(kState, 64, false) == "#....... " + text);
  CHECK(progress_line(kState, 63, false) == text);
  CHECK(progress_line(kState, 55, false) == text);
  CHECK(progress_line(kState, 54, false) == "step 1234/5000  loss 1.5000  ETA 1m15s");
  CHECK(progress_line(kState, 38, false) == "step 1234/5000  loss 1.5000  ETA 1m15s");
  CHECK(progress_line(kState, 37, false) == "step 1234/5000  loss 1.5000");
  CHECK(progress_line(kState, 26, false) == "step 1234/5000");
  CHECK(progress_line(kState, 10, false) == "step 1234/");
}

TEST_CASE(
    "progress: a terminal that is resized gets a line of its new width, and its last column stays empty") {
  const CapturedErrors errors;
  int columns = 80;
  {
    Progress progress(1, 1000, [&] { return Terminal{.columns = columns, .redraws = true, .utf8 = true}; });
    progress.update(1, 2.5, 100);
    columns = 20;
    progress.update(1, 2.5, 100);
    progress.note("something happened");
  }
  CHECK(errors.text() ==
        "\r\033[K████████████████████████ step 1/1  loss 2.5000  10,000 tokens/s  done\r\033[Kstep "
        "1/1\r\033[Ksomething happened\n");
}

TEST_CASE("progress: a dumb terminal gets plain lines of its width, without escape codes") {
  const CapturedErrors errors;
  {
    Progress progress(1, 1000, [] { return Terminal{.columns = 40, .redraws = false, .utf8 = false}; });
    progress.update(1, 2.5, 100);
    progress.note("something happened");
  }
  CHECK(errors.text() == "step 1/1  loss 2.5000  done\nsomething happened\n");
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
