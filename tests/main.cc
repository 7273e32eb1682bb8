// Runs the tests. The last line of the output counts them: "N passed, N failed", and ", N skipped" if some
// tests cannot run on this machine.
#define CATCH_CONFIG_RUNNER
#include <iostream>

#include "tests/catch.h"

namespace {

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

struct Count : ListenerBase {
  using ListenerBase::ListenerBase;
#if !__has_include(<catch2/catch_all.hpp>)
  // Version 2 counts a skipped test as passed.
  void testCaseStarting(const Catch::TestCaseInfo&) override {
    inkling::test::this_test_was_skipped = false;
  }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    if (inkling::test::this_test_was_skipped) skipped += stats.totals.testCases.passed;
  }
#endif
  void testRunEnded(const Catch::TestRunStats& stats) override {
    const auto& cases = stats.totals.testCases;
#if __has_include(<catch2/catch_all.hpp>)
    skipped = cases.skipped;
    passed = cases.passed;
#else
    passed = cases.passed - skipped;
#endif
    failed = cases.failed + cases.failedButOk;
  }
  static inline std::uint64_t passed = 0;
  static inline std::uint64_t failed = 0;
  static inline std::uint64_t skipped = 0;
};
CATCH_REGISTER_LISTENER(Count)

}  // namespace

int main(int argc, char** argv) {
  const int status = Catch::Session().run(argc, argv);
  std::cout << Count::passed << " passed, " << Count::failed << " failed";
  if (Count::skipped > 0) std::cout << ", " << Count::skipped << " skipped";
  std::cout << std::endl;
  return status != 0 ? 1 : 0;
}
