// A run whose power is cut after any system call, and which is then resumed.
//
// What the disk holds then is worked out from the log of one run, in the two ways that are worst for the
// program: nothing reached the disk but what was synced; or every name reached it, but of the files only the
// bytes that were synced.
#include <set>

#include "tests/faults/disk.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

void cut_after_every_call(Image (Disk::*left_by_cut)() const) {
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

TEST_CASE("power cut: what was synced is enough to go on from, at every call") {
  cut_after_every_call(&Disk::after_power_cut);
}

TEST_CASE("power cut: names that are on disk before their files' bytes do no harm, at every call") {
  cut_after_every_call(&Disk::after_power_cut_with_all_names);
}

TEST_CASE("power cut: a run that has ended loses nothing") {
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
