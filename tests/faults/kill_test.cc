// A run that is killed between any two system calls, or in the middle of a write, and then resumed.
//
// No process is killed here: the log of one run says which files each kill leaves. That kill -9 really ends a
// process this way is tested in tests/apps/train_test.cc.
#include <set>

#include "core/binary_file.h"
#include "tests/faults/disk.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Calls check(files, when) for every state that a kill can leave of a run that began with the files `before`
// and made the calls in `log`. States that are equal are checked once.
template <class Check>
void for_each_kill(const Image& before, const std::vector<SystemCall>& log, Check check) {
  Disk disk(before);
  std::set<Image> seen;
  const auto once = [&](const std::string& when, const SystemCall& call) {
    Image files = disk.after_kill();
    if (seen.insert(files).second) check(files, when + call.description());
  };
  for (const SystemCall& call : log) {
    if (call.kind == SystemCall::Kind::write && call.bytes.size() > 1) {
      SystemCall half = call;
      half.bytes.resize(call.bytes.size() / 2);
      disk.apply(half);
      once("killed in the middle of ", call);
    }
    disk.apply(call);
    once("killed after ", call);
  }
}

TEST_CASE("kill: the log of a run says exactly which files the run left") {
  const ShortRun run;
  Disk disk;
  for (const SystemCall& call : run.log()) disk.apply(call);
  const Image files = disk.after_kill();
  for (const auto& [path, bytes] : run.files()) {
    INFO(path);
    REQUIRE(files.contains(path));
    CHECK((files.at(path) == bytes));
  }
  CHECK(files.size() == run.files().size());
}

TEST_CASE("kill: a run killed at any system call and resumed ends as if nothing had happened") {
  const ShortRun run;
  for_each_kill({}, run.log(), [&](const Image& left, const std::string& when) {
    INFO(when);
    run.check_resumes(left);
  });
}

TEST_CASE("kill: a run killed in a checkpoint, and killed again while it resumes, ends the same way") {
  const ShortRun run;
  // The first kill leaves a checkpoint without its manifest, and the file that was being written.
  Image left;
  for_each_kill({}, run.log(), [&](const Image& files, const std::string& when) {
    const bool second_checkpoint = files.contains("run/checkpoints/step_00000001/");
    if (left.empty() && second_checkpoint && files.contains("run/checkpoints/.unfinished/optimizer.bin") &&
        when.find("middle") != std::string::npos) {
      left = files;
    }
  });
  REQUIRE_FALSE(left.empty());
  const std::vector<SystemCall> log = run.check_resumes(left);
  for_each_kill(left, log, [&](const Image& left_again, const std::string& when) {
    INFO(when);
    run.check_resumes(left_again);
  });
}

TEST_CASE("kill: without checkpoints to come, resuming still removes the unfinished one") {
  const ShortRun run;
  Image left = run.files();
  left["run/checkpoints/.unfinished/"] = "";
  left["run/checkpoints/.unfinished/model.bin"] = "half";
  run.check_resumes(left);
}

TEST_CASE("kill: a shard that a killed process left half written does not get into the next one") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "shard.bin";
  std::vector<SystemCall> log;
  {
    const SystemCalls calls(temporary.path());
    AtomicFile file(path);
    file.write("a longer text than the next one");
    log = calls.log();
  }
  Disk disk;
  for (const SystemCall& call : log) {
    if (call.kind != SystemCall::Kind::remove) disk.apply(call);
  }
  write_image(disk.after_kill(), temporary.path());
  CHECK(read_image(temporary.path()).size() == 1);
  AtomicFile file(path);
  file.write("short");
  file.commit();
  CHECK(read_image(temporary.path()) == Image{{"shard.bin", "short"}});
}

}  // namespace
}  // namespace inkling
