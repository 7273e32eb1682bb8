// The words of a command line, put together.
#pragma once

#include <string>
#include <vector>

namespace inkling::test {

using Words = std::vector<std::string>;

inline Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace inkling::test
