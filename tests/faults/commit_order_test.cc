// The order of the system calls that save a file. The bytes are on disk before the file gets its final name,
// and the name is on disk before the program relies on it.
#include <fcntl.h>

#include <filesystem>
#include <set>

#include "apps/text/shard.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/binary_file.h"
#include "tests/faults/disk.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using Kind = SystemCall::Kind;

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Goes through a log. At each rename it checks that the bytes of the renamed file or folder are already on
// disk, and that the program syncs the containing folder before the next rename in another folder, or the
// end.
void check_renames(const std::vector<SystemCall>& log, int expected_renames) {
  Disk disk;
  std::string to_sync;  // the folder of the last rename
  int renames = 0;
  for (const SystemCall& call : log) {
    INFO(call.description());
    if (call.kind == Kind::sync && call.path == to_sync) to_sync.clear();
    if (call.kind == Kind::rename) {
      ++renames;
      INFO("the folder of the previous rename was not synced: " << to_sync);
      CHECK((to_sync.empty() || to_sync == folder_of(call.new_path)));
      to_sync = folder_of(call.new_path);
      CHECK(folder_of(call.path) == to_sync);
      // The old name need not be on disk, but the bytes must be. For a folder this holds for each of its
      // files.
      const Image written = disk.after_kill(), synced = disk.after_power_cut_with_all_names();
      for (const auto& [path, bytes] : written) {
        if (path == call.path || path.starts_with(call.path + "/")) CHECK((synced.at(path) == bytes));
      }
    }
    disk.apply(call);
  }
  CHECK(to_sync.empty());
  CHECK(renames == expected_renames);
}

// The writes, syncs and renames of a commit, in order. Equal steps that follow each other count once.
std::vector<std::string> steps_of(const std::vector<SystemCall>& log) {
  std::vector<std::string> steps;
  for (const SystemCall& call : log) {
    std::string step;
    if (call.kind == Kind::write) step = "write";
    if (call.kind == Kind::sync) step = call.path == "." ? "sync folder" : "sync file";
    if (call.kind == Kind::rename) step = "rename to " + call.new_path;
    if (!step.empty() && (steps.empty() || steps.back() != step)) steps.push_back(step);
  }
  return steps;
}

// Checks that the program writes to only one file, in the folder of the target but with another name.
void check_temporary(const std::vector<SystemCall>& log, const std::string& target) {
  std::set<std::string> written;
  for (const SystemCall& call : log) {
    if (call.kind == Kind::open && call.for_writing()) written.insert(call.path);
  }
  REQUIRE(written.size() == 1);
  CHECK(*written.begin() != target);
  CHECK(folder_of(*written.begin()) == folder_of(target));
}

TEST_CASE("commit: a file is written, synced and renamed, and then its folder is synced") {
  const TemporaryDirectory temporary;
  const auto commit = [&](const std::string& name, const auto& write) {
    const SystemCalls calls(temporary.path());
    write(temporary / name);
    INFO(name);
    check_temporary(calls.log(), name);
    CHECK(steps_of(calls.log()) ==
          std::vector<std::string>{"write", "sync file", "rename to " + name, "sync folder"});
  };
  commit("file", [](const std::string& path) {
    AtomicFile file(path);
    file.write("some ");
    file.write("bytes");
    file.commit();
  });
  commit("shard.bin", [](const std::string& path) {  // the shard writer writes its header last
    ShardWriter shard(path, 300);
    shard.append(std::vector<std::int32_t>(100'000, 7));
    shard.commit();
  });
  commit("tokenizer.bin", [](const std::string& path) { Tokenizer::bytes().write(path); });
}

TEST_CASE("commit: a file without commit() leaves no file and is never renamed") {
  const TemporaryDirectory temporary;
  const SystemCalls calls(temporary.path());
  { AtomicFile(temporary / "file").write("bytes"); }
  CHECK(steps_of(calls.log()) == std::vector<std::string>{"write"});
  CHECK(read_image(temporary.path()).empty());
}

TEST_CASE(
    "commit: in a run, a file's bytes are on disk before its rename, and its folder is synced after it") {
  const ShortRun run;
  // The run renames config, text, model and tokenizer. For each of three checkpoints it renames four files
  // and a folder.
  check_renames(run.log(), 4 + 3 * 5);
}

TEST_CASE("commit: the folder of a checkpoint's files is synced once for each checkpoint") {
  const ShortRun run;
  int syncs = 0;
  for (const SystemCall& call : run.log())
    syncs += call.kind == Kind::sync && call.path == "run/checkpoints/.unfinished" ? 1 : 0;
  CHECK(syncs == 3);
}

TEST_CASE("commit: the manifest is a checkpoint's last file, and the metrics are on disk before its name") {
  const ShortRun run;
  Disk disk;
  std::string last_file, checkpoint;
  int checkpoints = 0;
  for (const SystemCall& call : run.log()) {
    const bool puts_checkpoint =
        call.kind == Kind::rename && call.new_path.starts_with("run/checkpoints/step_");
    if (puts_checkpoint) {
      CHECK(last_file == call.path + "/manifest.json");
      const Image durable = disk.after_power_cut();
      REQUIRE(durable.contains("run/metrics.jsonl"));
      CHECK(durable.at("run/metrics.jsonl") == disk.after_kill().at("run/metrics.jsonl"));
      checkpoint = call.new_path;
      ++checkpoints;
    } else if (call.kind == Kind::rename) {
      last_file = call.new_path;
    }
    disk.apply(call);
    // After this sync a power cut leaves the whole checkpoint.
    if (call.kind == Kind::sync && call.path == "run/checkpoints" && !checkpoint.empty()) {
      const Image durable = disk.after_power_cut(), written = disk.after_kill();
      for (const char* name : {"model.bin", "optimizer.bin", "state.json", "manifest.json"}) {
        const std::string path = checkpoint + "/" + name;
        REQUIRE(durable.contains(path));
        CHECK((durable.at(path) == written.at(path)));
      }
    }
  }
  CHECK(checkpoints == 3);
}

TEST_CASE("commit: a run writes in place only to its metrics, where it appends, and to its lock") {
  const ShortRun run;
  for (const SystemCall& call : run.log()) {
    if (call.kind != Kind::open || !call.for_writing() || call.path == "run/lock") continue;
    INFO(call.description());
    if (call.path == "run/metrics.jsonl") {
      CHECK((call.flags & O_APPEND) != 0);
      CHECK((call.flags & O_TRUNC) == 0);
    } else {
      CHECK_FALSE(run.files().contains(call.path));  // a temporary name, which does not exist after the run
    }
  }
}

}  // namespace
}  // namespace inkling
