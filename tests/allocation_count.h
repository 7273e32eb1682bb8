// Counts calls of operator new in the whole test binary, and the bytes it hands out, so that a test can show
// that a step makes no call, or keeps nothing.
#pragma once

#include <cstdint>
#include <functional>

namespace inkling::test {

// False under a sanitizer, which needs operator new for itself; then both counts stay 0.
extern const bool kCountsAllocations;

std::int64_t allocations();
// Bytes that operator new has handed out and that were not given back.
std::int64_t live_bytes();

// Repeats `step` until twenty in a row ask neither the heap nor the system for memory; false if that never
// comes. The first ones may: a worker thread makes its scratch when it meets its first op, and on a busy
// machine that can be late.
bool reaches_steady_state(const std::function<void()>& step);

}  // namespace inkling::test
