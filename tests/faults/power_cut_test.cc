// Runs with a power cut after any system call, which are then resumed.
//
// The tests compute the contents of the disk from the log of one run. They use the two worst cases: the disk
// has only names and bytes that were synced, or it has all names but only bytes that were synced.
#include <set>

#include "tests/faults/disk.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

void check_cut_after_every_call(Image (Disk::*left_by_cut)() const) {
  const ShortRun run;
  Disk disk;
  std::set<Image> seen;
  for (const SystemCall& call : run.log()) {
    disk.apply(call);
    const Image left = (disk.*left_by_cut)();
    if (!seen.insert(left).second) continue;
    INFO("cut after " << call.description());
    if (const auto model = left.find("run/model.bin"); model != left.end()) {
      CHECK((model->second == run.files().at("run/model.bin")));
    }
    run.check_resumes(left);
  }
}

TEST_CASE("power cut: a run resumes from only the names and bytes that were synced, after any call") {
  check_cut_after_every_call(&Disk::after_power_cut);
}

TEST_CASE("power cut: a run resumes if names are on disk without their files' bytes, after any call") {
  check_cut_after_every_call(&Disk::after_power_cut_with_all_names);
}

TEST_CASE("power cut: after the end of a run a power cut loses no file and no byte") {
  const ShortRun run;
  Disk disk;
  for (const SystemCall& call : run.log()) disk.apply(call);
  const Image left = disk.after_power_cut();
  for (const auto& [path, bytes] : run.files()) {
    INFO(path);
    CHECK(left.contains(path));
    if (left.contains(path) && path != "run/lock") CHECK((left.at(path) == bytes));
  }
}

}  // namespace
}  // namespace inkling
