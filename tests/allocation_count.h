// Counts calls of operator new in the whole test binary, so that a test can show that a step makes none.
#pragma once

#include <cstdint>

namespace inkling::test {

// False under a sanitizer, which needs operator new for itself; then the count stays 0.
extern const bool kCountsAllocations;

std::int64_t allocations();

}  // namespace inkling::test
