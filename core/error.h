// How inkling says that something is wrong.
//
// A fault of the caller or of a file throws Error with one line that names what, where, expected and got.
// Library code never prints, exits or aborts; apps/main.cc turns an Error into exit status 1 and a UsageError
// into 2. `assert` is for broken internal invariants only.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace inkling {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command line asks for something that does not exist or cannot be.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Joins anything printable into one string: str("C=", C, " is odd").
template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// Throws Error(str(parts...)).
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(str(parts...));
}

}  // namespace inkling
