// Counts calls of operator new in the whole test binary, so that a test can show that a step makes none.
#pragma once

#include <cstdint>
#include <functional>

namespace inkling::test {

// False under a sanitizer, which needs operator new for itself; then the count stays 0.
extern const bool kCountsAllocations;

std::int64_t allocations();

// Repeats `step` until twenty in a row ask neither the heap nor the system for memory; false if that never
// comes. The first ones may: a worker thread makes its scratch when it meets its first op, and on a busy
// machine that can be late.
bool reaches_steady_state(const std::function<void()>& step);

}  // namespace inkling::test
