// The limits that a container or a service manager sets for this process: Linux control groups (cgroups),
// versions 1 and 2. See the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
//
// Groups form a tree, and the limits of every group from the process's own up to the root apply. So the
// result is the smallest limit on this path. Inside of a container the path may name a group that only the
// host sees; then only the root, which is the container's own group, has files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace inkling {

struct CgroupLimits {
  std::optional<double> cpus;                // CPU seconds per second, e.g. 1.5
  std::optional<std::int64_t> memory_bytes;  // the smallest limit
  std::optional<std::int64_t>
      available_bytes;  // the least that any limit leaves; pages of files do not count as used
};

// `root` is put before the paths /proc/self/cgroup and /sys/fs/cgroup. Tests use it.
CgroupLimits cgroup_limits(const std::string& root = "");

}  // namespace inkling
