// The run directory: checkpoints, metrics and the lock. Files that are damaged by a crash are recognised.
#include "apps/run/run_directory.h"

#include <algorithm>

#include "core/error.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

void ignore(const std::string&) {}

void commit(RunDirectory& run, std::int64_t step, const std::string& content) {
  run.commit_checkpoint(step,
                        [&](const std::string& directory) { write_text(directory + "/model.bin", content); });
}

TEST_CASE("run directory: the newest checkpoint is found, and only the two newest are kept") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  CHECK_FALSE(run.newest_checkpoint(ignore).has_value());
  for (std::int64_t step : {10, 20, 30}) commit(run, step, "weights " + std::to_string(step));
  const auto newest = run.newest_checkpoint(ignore);
  REQUIRE(newest.has_value());
  CHECK(newest->step == 30);
  CHECK(read_text(newest->directory + "/model.bin") == "weights 30");
  CHECK(std::filesystem::exists(temporary / "run/checkpoints/step_00000020"));
  CHECK_FALSE(std::filesystem::exists(temporary / "run/checkpoints/step_00000010"));
}

TEST_CASE("run directory: a line of metrics with a step above 2^31 is skipped") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  run.append_metrics({{"step", std::int64_t{1} << 31}, {"loss", 1.5}});
  run.append_metrics({{"step", (std::int64_t{1} << 31) + 1}, {"loss", 2.5}});
  const auto lines = run.read_metrics();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["loss"] == 1.5);
}

TEST_CASE("run directory: directories with names similar to a checkpoint's are neither read nor deleted") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  commit(run, 10, "weights 10");
  const std::string whole = temporary / "run/checkpoints/step_00000010",
                    parent = temporary / "run/checkpoints";
  // Each is a copy of an undamaged checkpoint, so only the name is wrong.
  std::vector<std::string> names = {"step_4.bak",     "step_",          "step_-1",          "xstep_00000040",
                                    "step_00000040x", "step_ 00000040", "step_+0000040",    "step_40",
                                    "STEP_00000040",  "step_0x000040",  "step_00000040.bak"};
  for (const std::string& name : names) std::filesystem::copy(whole, parent + "/" + name);
  write_text(parent + "/step_00000050", "a file, not a directory");
  std::string said;
  const auto newest = run.newest_checkpoint([&](const std::string& line) { said += line; });
  REQUIRE(newest.has_value());
  CHECK(newest->step == 10);
  CHECK(said.empty());
  for (std::int64_t step : {20, 30}) commit(run, step, "weights");
  names.insert(names.end(), {"step_00000020", "step_00000030", "step_00000050"});
  std::sort(names.begin(), names.end());
  CHECK(names_in(parent) == names);
}

TEST_CASE("run directory: steps of more than eight digits are ordered as numbers") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  for (std::int64_t step : {99'999'998, 99'999'999, 100'000'000}) commit(run, step, "weights");
  CHECK(run.newest_checkpoint(ignore)->step == 100'000'000);
  CHECK(names_in(temporary / "run/checkpoints") ==
        std::vector<std::string>{"step_100000000", "step_99999999"});
}

using Names = std::vector<std::string>;

TEST_CASE("run directory: skipped checkpoints are deleted after the next commit, and do not count as kept") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  for (std::int64_t step : {10, 20, 30, 40}) commit(run, step, "weights");
  write_text(temporary / "run/checkpoints/step_00000040/model.bin", "short");
  CHECK(run.newest_checkpoint(ignore)->step == 30);
  CHECK(names_in(temporary / "run/checkpoints") == Names{"step_00000030", "step_00000040"});
  CHECK(run.last_checkpoint().ends_with("/step_00000030"));
  for (std::int64_t step : {35, 45}) {
    commit(run, step, "weights");
    const Names want =
        step == 35 ? Names{"step_00000030", "step_00000035"} : Names{"step_00000035", "step_00000045"};
    CHECK(names_in(temporary / "run/checkpoints") == want);
  }
  // The skipped checkpoint may also be of an earlier step than the next commit.
  write_text(temporary / "run/checkpoints/step_00000045/model.bin", "short");
  CHECK(run.newest_checkpoint(ignore)->step == 35);
  commit(run, 50, "weights");
  CHECK(names_in(temporary / "run/checkpoints") == Names{"step_00000035", "step_00000050"});
}

TEST_CASE("run directory: a skipped checkpoint that can be read again is not deleted") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  for (std::int64_t step : {10, 20}) commit(run, step, "weights");
  const std::string manifest = temporary / "run/checkpoints/step_00000020/manifest.json";
  std::filesystem::rename(manifest, manifest + ".away");
  CHECK(run.newest_checkpoint(ignore)->step == 10);
  std::filesystem::rename(manifest + ".away", manifest);
  for (std::int64_t step : {13, 16}) commit(run, step, "weights");
  CHECK(names_in(temporary / "run/checkpoints") == Names{"step_00000013", "step_00000016", "step_00000020"});
  CHECK(run.newest_checkpoint(ignore)->step == 20);
}

TEST_CASE(
    "run directory: a truncated, changed or incomplete checkpoint is skipped, and the message says why") {
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> harms = {
      {"size is", [](const std::string& d) { write_text(d + "/model.bin", "short"); }},
      {"differs from the checksum in the manifest",
       [](const std::string& d) { write_text(d + "/model.bin", "weights 21"); }},
      {"cannot open", [](const std::string& d) { std::filesystem::remove(d + "/manifest.json"); }},
      {"No such file", [](const std::string& d) { std::filesystem::remove(d + "/model.bin"); }},
      {"not valid JSON", [](const std::string& d) { write_text(d + "/manifest.json", "{\"files\": "); }},
  };
  for (const auto& [message, harm] : harms) {
    INFO(message);
    const TemporaryDirectory temporary;
    RunDirectory run(temporary / "run");
    commit(run, 10, "weights 10");
    commit(run, 20, "weights 20");
    harm(temporary / "run/checkpoints/step_00000020");
    std::string said;
    const auto newest = run.newest_checkpoint([&](const std::string& line) { said += line; });
    REQUIRE(newest.has_value());
    CHECK(newest->step == 10);
    CHECK_THAT(said, contains(message));
  }
}

TEST_CASE("run directory: damage in any one file of a checkpoint is found") {
  for (const std::string damaged : {"model.bin", "optimizer.bin", "state.json"}) {
    INFO(damaged);
    const TemporaryDirectory temporary;
    RunDirectory run(temporary / "run");
    run.commit_checkpoint(10, [](const std::string& directory) {
      for (const char* file : {"/model.bin", "/optimizer.bin", "/state.json"})
        write_text(directory + file, "1234");
    });
    REQUIRE(run.newest_checkpoint(ignore)->step == 10);
    write_text(temporary / ("run/checkpoints/step_00000010/" + damaged), "1235");
    CHECK_THROWS_WITH(run.newest_checkpoint(ignore), contains(damaged + ": the checksum"));
  }
}

TEST_CASE("run directory: saving a step again replaces a damaged checkpoint, but not an undamaged one") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  commit(run, 20, "weights 20");
  commit(run, 20, "never written");
  CHECK(read_text(temporary / "run/checkpoints/step_00000020/model.bin") == "weights 20");
  write_text(temporary / "run/checkpoints/step_00000020/model.bin", "short");
  commit(run, 20, "weights 20");
  REQUIRE(run.newest_checkpoint(ignore).has_value());
  CHECK(read_text(run.newest_checkpoint(ignore)->directory + "/model.bin") == "weights 20");
}

TEST_CASE("run directory: if writing a checkpoint fails, only the earlier checkpoints remain") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  commit(run, 10, "weights 10");
  CHECK_THROWS_WITH(run.commit_checkpoint(20,
                                          [](const std::string& directory) {
                                            write_text(directory + "/model.bin", "half");
                                            fail("disk full");
                                          }),
                    contains("disk full"));
  CHECK(run.newest_checkpoint(ignore)->step == 10);
  for (const auto& entry : std::filesystem::directory_iterator(temporary / "run/checkpoints")) {
    CHECK(entry.path().filename() == "step_00000010");
  }
}

TEST_CASE("run directory: settings, metrics or checkpoints make a directory a run; data or a model do not") {
  const TemporaryDirectory temporary;
  CHECK_FALSE(RunDirectory::has_run(temporary / "nothing"));
  for (const char* name : {"config.json", "metrics.jsonl", "checkpoints", "data", "model.bin"}) {
    const std::string path = temporary / name;
    std::filesystem::create_directory(path);
    write_text(path + "/" + name, "{}");
    const bool is_run = name == std::string("config.json") || name == std::string("metrics.jsonl") ||
                        name == std::string("checkpoints");
    CHECK(RunDirectory::has_run(path) == is_run);
  }
}

TEST_CASE("run directory: settings, samples and metrics are read back unchanged") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  run.write_config({{"steps", 7}});
  CHECK(run.read_config() == nlohmann::json{{"steps", 7}});
  run.write_sample(42, "Once upon a time\n");
  CHECK(read_text(temporary / "run/samples/step_00000042.txt") == "Once upon a time\n");
  CHECK(run.read_metrics().empty());
  run.append_metrics({{"step", 1}, {"loss", 0.1}});
  run.append_metrics({{"step", 2}, {"loss", NAN}});  // written as null, so the line is skipped
  run.append_metrics({{"loss", 1.0}});               // skipped: it has no step
  run.append_metrics({{"step", 3}, {"loss", 1e-300}});
  const auto lines = run.read_metrics();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["loss"].get<double>() == 0.1);
  CHECK(lines[1]["loss"].get<double>() == 1e-300);
  run.drop_metrics_after(-1);
  CHECK(run.read_metrics().empty());
}

TEST_CASE("run directory: a second run is refused while the first is active, and accepted afterwards") {
  const TemporaryDirectory temporary;
  {
    const RunDirectory first(temporary / "run");
    CHECK_THROWS_WITH(RunDirectory(temporary / "run"),
                      contains("another run (process " + std::to_string(getpid()) + ") is using"));
  }
  CHECK_NOTHROW(RunDirectory(temporary / "run"));
}

TEST_CASE("run directory: metrics of later steps are removed, and so is an incomplete last line") {
  const TemporaryDirectory temporary;
  RunDirectory run(temporary / "run");
  for (std::int64_t step = 1; step <= 4; ++step)
    run.append_metrics({{"step", step}, {"loss", 1.0 / static_cast<double>(step)}});
  std::ofstream(temporary / "run/metrics.jsonl", std::ios::app) << "{\"step\": 5, \"lo";
  run.drop_metrics_after(3);
  const auto lines = run.read_metrics();
  REQUIRE(lines.size() == 3);
  CHECK(lines.back()["step"] == 3);
  CHECK(lines.back()["loss"].get<double>() == 1.0 / 3.0);
}

}  // namespace
}  // namespace inkling
