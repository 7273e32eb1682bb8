// The machine's memory, as the operating system reports it. For the CPU, see core/cpu.h.
#pragma once

#include <cstdint>

namespace inkling {

struct SystemMemory {
  std::int64_t total_bytes = 0;
  std::int64_t available_bytes = 0;  // what programs can use without swapping, within a container's limit
};
SystemMemory system_memory();  // 0 for a number that the system does not report

std::int64_t resident_bytes();  // the memory that this process uses now

}  // namespace inkling
