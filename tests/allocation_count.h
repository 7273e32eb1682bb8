// Counts the calls of operator new in the whole test binary and the bytes that are allocated. With these
// counts a test checks that a step allocates nothing, or that it frees all that it allocates.
#pragma once

#include <cstdint>
#include <functional>

namespace inkling::test {

// False with a sanitizer, because sanitizers define operator new themselves. Then both counts are always 0.
extern const bool kCountsAllocations;

std::int64_t allocations();
// The bytes that operator new has allocated and that are not yet freed.
std::int64_t live_bytes();

// Repeats `step` until twenty steps in a row allocate no memory, neither from the heap nor from the system.
// Returns false if this does not happen within fifty attempts. The first steps may allocate: a worker thread
// allocates its scratch memory in its first op, which can be late on a busy machine.
bool reaches_steady_state(const std::function<void()>& step);

}  // namespace inkling::test
