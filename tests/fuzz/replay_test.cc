// Runs the fuzz targets with every input in tests/fuzz/seeds and tests/fuzz/crashes. `make fuzz` starts from
// the seeds. Each input in crashes once showed a bug.
#include <filesystem>
#include <set>

#include "tests/catch.h"
#include "tests/fuzz/targets.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

namespace fs = std::filesystem;

void replay(const std::string& folder) {
  for (const auto& [name, target] : fuzz::kTargets) {
    const fs::path inputs = fs::path("tests/fuzz") / folder / name;
    if (!fs::exists(inputs)) continue;
    for (const auto& entry : fs::directory_iterator(inputs)) {
      INFO(entry.path());
      const std::string bytes = test::read_text(entry.path().string());
      CHECK_NOTHROW(target(std::as_bytes(std::span(bytes))));
    }
  }
}

TEST_CASE("fuzz: every reader accepts each of its seeds or throws an Error") {
  replay("seeds");
}

TEST_CASE("fuzz: no input that once showed a bug shows it again") {
  replay("crashes");
}

TEST_CASE("fuzz: every target has seeds, and every folder of inputs belongs to a target") {
  std::set<std::string> names;
  for (const auto& [name, target] : fuzz::kTargets) {
    names.insert(name);
    INFO(name);
    CHECK(fs::exists(fs::path("tests/fuzz/seeds") / name));
  }
  for (const char* folder : {"tests/fuzz/seeds", "tests/fuzz/crashes"}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder))
      CHECK(names.contains(entry.path().filename().string()));
  }
}

}  // namespace
}  // namespace inkling
