#include "apps/preflight/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "core/cgroup.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

constexpr std::int64_t kKiB = 1024;

// The number in the line that begins with `key`, in bytes.
std::optional<std::int64_t> number_of(const std::string& meminfo, const std::string& key) {
  std::ifstream file(meminfo);
  std::string name;
  for (std::int64_t kib = 0; file >> name >> kib; file.ignore(16, '\n')) {
    if (name == key + ":") return kib * kKiB;
  }
  return std::nullopt;
}

std::optional<std::int64_t> physical_memory() {
  const std::int64_t bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return bytes > 0 ? std::optional(bytes) : std::nullopt;
}

}  // namespace

SystemMemory system_memory(const CgroupLimits& limits, const std::string& meminfo) {
  SystemMemory memory{number_of(meminfo, "MemTotal"), number_of(meminfo, "MemAvailable"), "the RAM"};
  if (!memory.total_bytes) memory.total_bytes = physical_memory();
  if (limits.memory_bytes && (!memory.total_bytes || *limits.memory_bytes < *memory.total_bytes)) {
    memory.total_bytes = limits.memory_bytes;
    memory.bound_by = "the memory limit of the control group";
  }
  if (limits.available_bytes) {
    memory.available_bytes =
        std::min(memory.available_bytes.value_or(*limits.available_bytes), *limits.available_bytes);
  }
  if (!memory.total_bytes) memory.bound_by.clear();
  return memory;
}

std::string bound_of_threads(const CgroupLimits& limits) {
  if (limits.cpus && hardware_threads(limits) < allowed_cpus())
    return str("the CPU quota of the control group, ", *limits.cpus, " CPUs");
  const auto cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return allowed_cpus() < cores
             ? str("the CPU affinity of this process, ", allowed_cpus(), " of ", cores, " CPUs")
             : std::string("the CPUs of this machine");
}

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace inkling
