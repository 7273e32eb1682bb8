// Runs that are killed between any two system calls, or in the middle of a write, and then resumed.
//
// These tests kill no process. They compute from the log of one run which files each kill leaves.
// tests/apps/train_test.cc tests that a real kill -9 leaves such files.
#include <set>

#include "core/binary_file.h"
#include "tests/faults/disk.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A run began with the files `before` and made the calls in `log`. This calls check(files, when) for every
// state of the files that a kill can leave. Equal states are checked once.
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

TEST_CASE("kill: the files computed from the log of a run are exactly the files that the run left") {
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

TEST_CASE("kill: a run that is killed at any system call and resumed has the files of an undisturbed run") {
  const ShortRun run;
  for_each_kill({}, run.log(), [&](const Image& left, const std::string& when) {
    INFO(when);
    run.check_resumes(left);
  });
}

TEST_CASE(
    "kill: a run killed in a checkpoint and again while it resumes has the files of an undisturbed run") {
  const ShortRun run;
  // The first kill is in the middle of a write. It leaves a checkpoint without manifest and a temporary file.
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

TEST_CASE("kill: resuming a finished run removes an unfinished checkpoint") {
  const ShortRun run;
  Image left = run.files();
  left["run/checkpoints/.unfinished/"] = "";
  left["run/checkpoints/.unfinished/model.bin"] = "half";
  run.check_resumes(left);
}

TEST_CASE("kill: the temporary file of a killed process does not change the next file of that name") {
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
