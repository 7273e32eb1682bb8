// The processors and the memory that this process may use. For the CPU's instruction sets, see core/cpu.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/cgroup.h"

namespace inkling {

// A number is missing if the system does not report it, for example where /proc is not mounted.
struct SystemMemory {
  std::optional<std::int64_t> total_bytes;      // the smaller of the RAM and the limit of the control group
  std::optional<std::int64_t> available_bytes;  // what programs can use without swapping, within that limit
  std::string bound_by;                         // which of the two gives total_bytes
};
// `meminfo` is the file in which Linux reports the memory; tests pass another file.
SystemMemory system_memory(const CgroupLimits& limits = cgroup_limits(),
                           const std::string& meminfo = "/proc/meminfo");

// What limits hardware_threads() (core/parallel.h): the machine's CPUs, the process's affinity, or a quota.
std::string bound_of_threads(const CgroupLimits& limits = cgroup_limits());

std::int64_t resident_bytes();  // the memory that this process uses now; 0 if the system does not report it

}  // namespace inkling
