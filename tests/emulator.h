// Tests that an emulator of another CPU cannot run (make test-arm64).
#pragma once

#include <cstdlib>
#include <string>

#include "tests/catch.h"

namespace inkling::test {

// Skips the test under qemu-user. The Makefile sets INKLING_EMULATOR for the tests' process.
inline void skip_if_emulated(const std::string& reason) {
  const char* emulator = std::getenv("INKLING_EMULATOR");
  if (emulator != nullptr && *emulator != '\0') skip(std::string(emulator) + ": " + reason);
}

}  // namespace inkling::test
