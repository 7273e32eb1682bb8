// The memory of the machine and of this process.
#include "apps/run/machine.h"

#include <unistd.h>

#include <cstring>

#include "core/memory.h"
#include "tests/catch.h"

namespace inkling {
namespace {

TEST_CASE("machine: total memory is at most the physical memory, and available memory at most the total") {
  const SystemMemory memory = system_memory();
  const std::int64_t machine = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  CHECK(memory.total_bytes > machine / 1000);
  CHECK(memory.total_bytes <= machine);
  CHECK(memory.available_bytes > 0);
  CHECK(memory.available_bytes <= memory.total_bytes);
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
