#include "core/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

namespace inkling {

namespace {

// Version 1 writes "no limit" as the largest multiple of a page in 64 bits.
constexpr std::int64_t kNoLimit = std::int64_t{1} << 62;

// The first number in a file; nothing if there is no such file or no number ("max" means no limit).
std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// The number after `key` in a file of lines "key number".
std::optional<std::int64_t> number_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  for (std::int64_t number = 0; file >> name >> number;) {
    if (name == key) return number;
  }
  return std::nullopt;
}

template <class T>
void keep_smaller(std::optional<T>& limit, T value) {
  limit = limit ? std::min(*limit, value) : value;
}

// A CPU limit lets the group run for `quota` microseconds in each period.
void add_cpu(CgroupLimits& limits, std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
  if (quota && period && *quota > 0 && *period > 0)
    keep_smaller(limits.cpus, static_cast<double>(*quota) / static_cast<double>(*period));
}

// `used` includes the pages of files that were read or written. The system takes the inactive ones back when
// memory is needed, so they count as available.
void add_memory(CgroupLimits& limits, std::optional<std::int64_t> limit, std::optional<std::int64_t> used,
                std::optional<std::int64_t> inactive_file) {
  if (!limit || *limit < 0 || *limit >= kNoLimit) return;
  keep_smaller(limits.memory_bytes, *limit);
  const std::int64_t taken = std::max<std::int64_t>(0, used.value_or(0) - inactive_file.value_or(0));
  keep_smaller(limits.available_bytes, std::max<std::int64_t>(0, *limit - taken));
}

// Version 2: one tree for all controllers.
void add_group(CgroupLimits& limits, const std::string& group) {
  std::ifstream cpu(group + "/cpu.max");  // "QUOTA PERIOD" or "max PERIOD"
  std::int64_t quota = 0, period = 0;
  if (cpu >> quota >> period) add_cpu(limits, quota, period);
  add_memory(limits, number_in(group + "/memory.max"), number_in(group + "/memory.current"),
             number_of(group + "/memory.stat", "inactive_file"));
}

// Version 1: a tree for each controller.
void add_group_of_cpu(CgroupLimits& limits, const std::string& group) {
  add_cpu(limits, number_in(group + "/cpu.cfs_quota_us"), number_in(group + "/cpu.cfs_period_us"));
}
void add_group_of_memory(CgroupLimits& limits, const std::string& group) {
  add_memory(limits, number_in(group + "/memory.limit_in_bytes"), number_in(group + "/memory.usage_in_bytes"),
             number_of(group + "/memory.stat", "total_inactive_file"));
}

// Calls add(limits, group) for the group at `path` of a tree and for all groups above it.
template <class Add>
void walk(CgroupLimits& limits, const std::string& tree, std::string path, Add add) {
  while (!path.empty() && path != "/") {
    add(limits, tree + path);
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  add(limits, tree);
}

}  // namespace

CgroupLimits cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  const std::string trees = root + "/sys/fs/cgroup";
  std::ifstream file(root + "/proc/self/cgroup");
  // A line is "id:controllers:path". Version 2 has the line "0::path".
  for (std::string id, controllers, path;
       std::getline(file, id, ':') && std::getline(file, controllers, ':') && std::getline(file, path);) {
    if (controllers.empty()) walk(limits, trees, path, add_group);
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == "cpu") walk(limits, trees + "/cpu", path, add_group_of_cpu);
      if (name == "memory") walk(limits, trees + "/memory", path, add_group_of_memory);
    }
  }
  return limits;
}

}  // namespace inkling
