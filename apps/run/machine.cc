#include "apps/run/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace inkling {

namespace {

constexpr std::int64_t kKiB = 1024;

// The number in the line of /proc/meminfo that begins with `key`, in bytes.
std::int64_t meminfo(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (std::int64_t kib = 0; file >> name >> kib; file.ignore(16, '\n')) {
    if (name == key + ":") return kib * kKiB;
  }
  return 0;
}

// The first number in a file; -1 if there is none. A cgroup without a limit has "max" in its file.
std::int64_t number_in(const char* path) {
  std::ifstream file(path);
  std::int64_t number = -1;
  return file >> number ? number : -1;
}

}  // namespace

SystemMemory system_memory() {
  SystemMemory memory{meminfo("MemTotal"), meminfo("MemAvailable")};
  const std::int64_t limit = number_in("/sys/fs/cgroup/memory.max");
  if (limit < 0) return memory;
  const std::int64_t used = std::max<std::int64_t>(0, number_in("/sys/fs/cgroup/memory.current"));
  memory.total_bytes = std::min(memory.total_bytes, limit);
  memory.available_bytes = std::min(memory.available_bytes, std::max<std::int64_t>(0, limit - used));
  return memory;
}

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace inkling
