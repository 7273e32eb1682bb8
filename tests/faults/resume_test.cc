// Resuming while a system call fails, and starting while another run ends: no whole checkpoint is lost.
#include <cerrno>
#include <filesystem>

#include "core/error.h"
#include "tests/apps/command_line.h"
#include "tests/faults/disk.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr const char* kNewest = "run/checkpoints/step_00000003/";

// Resumes a run with the files `left` while one system call fails. Returns all calls of the resumed run.
std::vector<SystemCall> resume_with(const ShortRun& run, const Image& left, const Fault& fault) {
  const FastDirectory directory;
  write_image(left, directory.path());
  const SystemCalls calls(directory.path(), fault);
  try {
    run.train(directory / "run");
  } catch (const Error&) {  // the files count, not how the run ended
  }
  return calls.log();
}

TEST_CASE("resume: if any call fails once, the newest checkpoint stays whole at every moment") {
  const ShortRun run;
  const Image left = run.files();
  const auto calls = std::ssize(run.check_resumes(left));
  for (std::int64_t call = 0; call < calls; ++call) {
    Disk disk(left);
    for (const SystemCall& made : resume_with(run, left, {.call = call, .error = EIO})) {
      disk.apply(made);
      const Image now = disk.after_kill();
      for (const char* name : {"model.bin", "optimizer.bin", "state.json", "manifest.json"}) {
        const auto found = now.find(std::string(kNewest) + name);
        if (found != now.end() && found->second == left.at(std::string(kNewest) + name)) continue;
        FAIL("call " << call << " of the resumed run failed, then " << made.description() << ": " << name
                     << " of the newest checkpoint is lost");
      }
    }
  }
}

TEST_CASE("start: a run that appears after the first look and before the lock is not overwritten") {
  const RestoreThreads restore;
  const TemporaryDirectory temporary;
  CLI::App app;
  Action action;
  add_train(app, action);
  parse(app, {"train", "--out", temporary / "run", "--data", "tests/goldens/curve_tokens.bin", "--vocab-size",
              "131", "--precision", "f32", "--threads", "1", "--steps", "1"});
  const std::string metrics = temporary / "run/metrics.jsonl", line = "{\"step\":1,\"loss\":2.5}\n";
  SystemCalls calls(temporary.path());
  calls.before_open("run/lock", [&] { write_text(metrics, line); });
  CHECK_THROWS_WITH(action(), contains("already has a run"));
  CHECK(read_text(metrics) == line);
  CHECK_FALSE(std::filesystem::exists(temporary / "run/config.json"));
}

}  // namespace
}  // namespace inkling
