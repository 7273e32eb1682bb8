// Turns an Error about the value of a flag into a UsageError, which ends the program with exit status 2.
#pragma once

#include <string>

#include "core/error.h"
#include "nn/precision.h"

namespace inkling {

// Calls f, and throws its Errors again as UsageErrors, with `prefix` before the message. Use it for calls
// into core, ops, nn or optim whose arguments come from flags: if such an argument is wrong, the command line
// is wrong.
template <class F>
auto from_flags(F&& f, const std::string& prefix = "") {
  try {
    return f();
  } catch (const Error& error) {
    throw UsageError(prefix + error.what());
  }
}

// Returns the value of --precision, for training (Recording::on) or for evaluation and generation
// (Recording::off).
inline Precision precision_flag(const std::string& value, Recording recording) {
  return from_flags([&] { return parse_precision(value, recording); }, "--");
}

}  // namespace inkling
