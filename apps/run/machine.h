// The machine's memory, as the system tells it; for the CPU see core/cpu.h.
#pragma once

#include <cstdint>

namespace inkling {

struct SystemMemory {
  std::int64_t total_bytes = 0;
  std::int64_t available_bytes = 0;  // without swapping; in a container with a limit, what the limit leaves
};
SystemMemory system_memory();  // zeros where the system does not tell

std::int64_t resident_bytes();  // of this process, now

}  // namespace inkling
