// Includes Catch2 and gives the same names to both of its versions: 2.13 (one header, Debian 12) and 3 (a
// library, later Debians).
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace inkling::test {

#if __has_include(<catch2/catch_all.hpp>)
using Catch::Approx;  // in version 2, Approx is in the global namespace
#endif

// Matches a message that contains `text`: CHECK_THROWS_WITH(f(), contains("expected")).
inline auto contains(const std::string& text) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(text);
#else
  return Catch::Contains(text);
#endif
}

// Equal up to rounding: CHECK(x == approx(1.5).epsilon(1e-6)).
#if __has_include(<catch2/catch_all.hpp>)
using approx = Catch::Approx;
#else
using approx = Catch::Detail::Approx;
#endif

// Ends the test as skipped, because it cannot run on this machine, and prints the reason. The last line of
// the output counts the skipped tests (tests/main.cc). Version 3.3 has SKIP for this. In version 2, throwing
// this exception ends a test and does not count as a failure.
#if __has_include(<catch2/catch_all.hpp>)
inline void skip(const std::string& reason) {
  SKIP(reason);
}
#else
inline bool this_test_was_skipped = false;
inline void skip(const std::string& reason) {
  WARN("skipped: " << reason);
  this_test_was_skipped = true;
  throw Catch::TestFailureException();
}
#endif

}  // namespace inkling::test
