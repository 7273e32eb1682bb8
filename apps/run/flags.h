// What the command line asks for and cannot be: UsageErrors, which end the program with status 2.
#pragma once

#include <string>

#include "core/error.h"
#include "nn/precision.h"

namespace inkling {

// Calls f. What a lower floor finds wrong with a value that came from a flag is a wrong use of the command
// line.
template <class F>
auto from_flags(F&& f, const std::string& prefix = "") {
  try {
    return f();
  } catch (const Error& error) {
    throw UsageError(prefix + error.what());
  }
}

// The value of --precision, for training (Recording::on) or for what has no backward.
inline Precision precision_flag(const std::string& value, Recording recording) {
  return from_flags([&] { return parse_precision(value, recording); }, "--");
}

}  // namespace inkling
