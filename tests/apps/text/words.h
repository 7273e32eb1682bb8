// The words of a command line; + joins two lists of words.
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
