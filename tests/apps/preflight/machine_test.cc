// The memory of the machine and of this process.
#include "apps/preflight/machine.h"

#include <unistd.h>

#include <cstring>

#include "core/memory.h"
#include "core/parallel.h"
#include "tests/catch.h"

namespace inkling {
namespace {

TEST_CASE("machine: total memory is at most the physical memory, and available memory at most the total") {
  const SystemMemory memory = system_memory();
  const std::int64_t machine = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  REQUIRE(memory.total_bytes);
  REQUIRE(memory.available_bytes);
  CHECK(*memory.total_bytes > machine / 1000);
  CHECK(*memory.total_bytes <= machine);
  CHECK(*memory.available_bytes > 0);
  CHECK(*memory.available_bytes <= *memory.total_bytes);
}

TEST_CASE("machine: the limit of a control group bounds the memory only if it is less than the RAM") {
  CgroupLimits limits{.cpus = {}, .memory_bytes = 1000, .available_bytes = 300};
  const SystemMemory bound = system_memory(limits);
  CHECK(bound.total_bytes == 1000);
  CHECK(bound.available_bytes == 300);
  CHECK(bound.bound_by == "the memory limit of the control group");

  limits.memory_bytes = limits.available_bytes = std::int64_t{1} << 60;
  CHECK(system_memory(limits).total_bytes == system_memory({}).total_bytes);
  CHECK(*system_memory(limits).available_bytes < std::int64_t{1} << 60);
  CHECK(system_memory(limits).bound_by == "the RAM");
}

TEST_CASE("machine: without /proc, the available memory is unknown, and not zero") {
  const SystemMemory memory = system_memory({}, "/no/such/file");
  CHECK(memory.total_bytes == sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
  CHECK_FALSE(memory.available_bytes);
  // A control group's limit is still known.
  CHECK(system_memory({.cpus = {}, .memory_bytes = 1000, .available_bytes = 300}, "/no/such/file")
            .available_bytes == 300);
}

TEST_CASE("machine: the bound of the threads names the quota if the quota is less than the CPUs") {
  CgroupLimits limits;
  CHECK(bound_of_threads(limits).find("quota") == std::string::npos);
  limits.cpus = 0.5;
  if (allowed_cpus() > 1) CHECK(bound_of_threads(limits) == "the CPU quota of the control group, 0.5 CPUs");
  limits.cpus = 1000;
  CHECK(bound_of_threads(limits).find("quota") == std::string::npos);
}

TEST_CASE("machine: resident memory grows by the bytes that are written") {
  constexpr std::size_t kBytes = std::size_t{32} << 20;
  Pages pages(kBytes);
  const std::int64_t before = resident_bytes();
  std::memset(pages.data(), 1, kBytes);
  const std::int64_t grown = resident_bytes() - before;
  CHECK(grown >= static_cast<std::int64_t>(kBytes) * 9 / 10);
  CHECK(grown <= static_cast<std::int64_t>(kBytes) * 2);
}

}  // namespace
}  // namespace inkling
