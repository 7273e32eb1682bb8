// The limits of control groups, read from small copies of /proc and /sys/fs/cgroup.
#include "core/cgroup.h"

#include <filesystem>
#include <map>

#include "core/parallel.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using Files = std::map<std::string, std::string>;

// The limits that cgroup_limits() finds where these files exist.
CgroupLimits limits_of(const Files& files) {
  const test::TemporaryDirectory root;
  for (const auto& [path, text] : files) {
    std::filesystem::create_directories(std::filesystem::path(root / path).parent_path());
    test::write_text(root / path, text);
  }
  return cgroup_limits(root.path());
}

constexpr std::int64_t kMiB = 1 << 20;
const std::string kUsed = std::to_string(600 * kMiB) + "\n";
const std::string kLimit = std::to_string(1000 * kMiB) + "\n";

TEST_CASE("cgroup: without files, or with files that set no limit, there is no limit") {
  for (const Files& files :
       {Files{}, Files{{"proc/self/cgroup", "0::/\n"}},
        Files{{"proc/self/cgroup", "0::/\n"},
              {"sys/fs/cgroup/cpu.max", "max 100000\n"},
              {"sys/fs/cgroup/memory.max", "max\n"},
              {"sys/fs/cgroup/memory.current", kUsed}},
        Files{{"proc/self/cgroup", "4:cpu,cpuacct:/\n3:memory:/\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
              {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}}}) {
    const CgroupLimits limits = limits_of(files);
    CHECK_FALSE(limits.cpus);
    CHECK_FALSE(limits.memory_bytes);
    CHECK_FALSE(limits.available_bytes);
  }
}

TEST_CASE("cgroup: version 2 sets a CPU quota and a memory limit; inactive pages of files are available") {
  const CgroupLimits limits = limits_of({{"proc/self/cgroup", "0::/\n"},
                                         {"sys/fs/cgroup/cpu.max", "150000 100000\n"},
                                         {"sys/fs/cgroup/memory.max", kLimit},
                                         {"sys/fs/cgroup/memory.current", kUsed},
                                         {"sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 104857600\n"}});
  CHECK(limits.cpus == 1.5);
  CHECK(limits.memory_bytes == 1000 * kMiB);
  CHECK(limits.available_bytes == 500 * kMiB);
}

TEST_CASE("cgroup: version 1 has a tree for each controller") {
  const CgroupLimits limits =
      limits_of({{"proc/self/cgroup", "12:cpu,cpuacct:/docker/a:b\n7:memory:/docker/a:b\n1:name=systemd:/\n"},
                 {"sys/fs/cgroup/cpu/docker/a:b/cpu.cfs_quota_us", "50000\n"},
                 {"sys/fs/cgroup/cpu/docker/a:b/cpu.cfs_period_us", "100000\n"},
                 {"sys/fs/cgroup/memory/docker/a:b/memory.limit_in_bytes", kLimit},
                 {"sys/fs/cgroup/memory/docker/a:b/memory.usage_in_bytes", kUsed},
                 {"sys/fs/cgroup/memory/docker/a:b/memory.stat", "total_inactive_file 104857600\n"}});
  CHECK(limits.cpus == 0.5);
  CHECK(limits.memory_bytes == 1000 * kMiB);
  CHECK(limits.available_bytes == 500 * kMiB);
}

TEST_CASE("cgroup: the smallest limit of all groups above the process applies") {
  const CgroupLimits limits = limits_of({{"proc/self/cgroup", "0::/a/b\n"},
                                         {"sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"},
                                         {"sys/fs/cgroup/a/cpu.max", "200000 100000\n"},
                                         {"sys/fs/cgroup/cpu.max", "300000 100000\n"},
                                         {"sys/fs/cgroup/a/b/memory.max", kLimit},
                                         {"sys/fs/cgroup/a/b/memory.current", "0\n"},
                                         {"sys/fs/cgroup/a/memory.max", std::to_string(2000 * kMiB)},
                                         {"sys/fs/cgroup/a/memory.current", std::to_string(1900 * kMiB)}});
  CHECK(limits.cpus == 2.0);
  CHECK(limits.memory_bytes == 1000 * kMiB);
  CHECK(limits.available_bytes == 100 * kMiB);
}

TEST_CASE("cgroup: in a container whose path only the host sees, the root's files apply") {
  const CgroupLimits limits =
      limits_of({{"proc/self/cgroup", "0::/host/only/this\n"}, {"sys/fs/cgroup/cpu.max", "100000 100000\n"}});
  CHECK(limits.cpus == 1.0);
}

TEST_CASE("cgroup: the default number of threads is the quota rounded up, and at most the allowed CPUs") {
  CgroupLimits limits;
  CHECK(hardware_threads(limits) == allowed_cpus());
  limits.cpus = 0.2;
  CHECK(hardware_threads(limits) == 1);
  limits.cpus = 1000;
  CHECK(hardware_threads(limits) == allowed_cpus());
  limits.cpus = allowed_cpus() - 0.5;
  CHECK(hardware_threads(limits) == allowed_cpus());
  limits.cpus = std::max(1, allowed_cpus() - 1);
  CHECK(hardware_threads(limits) == std::max(1, allowed_cpus() - 1));
}

}  // namespace
}  // namespace inkling
