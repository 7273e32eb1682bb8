// How inkling reports errors.
//
// A mistake of the caller or a damaged file throws Error. The message of an Error is one line: what is wrong,
// where, what was expected and what was found. Library code never prints, exits or aborts; apps/main.cc turns
// an Error into exit status 1 and a UsageError into exit status 2. `assert` is only for broken internal
// invariants.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace inkling {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// UsageError: the command line is wrong. It has an unknown flag, a value out of range, or flags that
// contradict each other.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Prints all arguments into one string, for example str("C=", C, " is odd").
template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// Throws an Error whose message is str(parts...).
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(str(parts...));
}

}  // namespace inkling
