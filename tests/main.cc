// Runs the tests and ends with one line that counts them: "N passed, N failed".
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
  void testRunEnded(const Catch::TestRunStats& stats) override {
    const auto& cases = stats.totals.testCases;
    passed = cases.passed;
    failed = cases.failed + cases.failedButOk;
  }
  static inline std::uint64_t passed = 0;
  static inline std::uint64_t failed = 0;
};
CATCH_REGISTER_LISTENER(Count)

}  // namespace

int main(int argc, char** argv) {
  const int status = Catch::Session().run(argc, argv);
  std::cout << Count::passed << " passed, " << Count::failed << " failed" << std::endl;
  return status != 0 ? 1 : 0;
}
