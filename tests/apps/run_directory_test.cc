// The run directory: what a crash leaves behind is told apart from what is whole.
#include "apps/run/run_directory.h"

#include "core/error.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

void ignore(const std::string&) {}

void commit(const RunDirectory& run, std::int64_t step, const std::string& content) {
  run.commit_checkpoint(step,
                        [&](const std::string& directory) { write_text(directory + "/model.bin", content); });
}

TEST_CASE("run directory: the newest checkpoint is found, and only two are kept") {
  const TemporaryDirectory temporary;
  const RunDirectory run(temporary / "run");
  CHECK_FALSE(run.newest_checkpoint(ignore).has_value());
  for (std::int64_t step : {10, 20, 30}) commit(run, step, "weights " + std::to_string(step));
  const auto newest = run.newest_checkpoint(ignore);
  REQUIRE(newest.has_value());
  CHECK(newest->step == 30);
  CHECK(read_text(newest->directory + "/model.bin") == "weights 30");
  CHECK(std::filesystem::exists(temporary / "run/checkpoints/step_00000020"));
  CHECK_FALSE(std::filesystem::exists(temporary / "run/checkpoints/step_00000010"));
}

TEST_CASE(
    "run directory: a checkpoint that was cut short, changed or left unfinished is passed over, and why is "
    "said") {
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> harms = {
      {"size is", [](const std::string& d) { write_text(d + "/model.bin", "short"); }},
      {"do not match", [](const std::string& d) { write_text(d + "/model.bin", "weights 21"); }},
      {"cannot open", [](const std::string& d) { std::filesystem::remove(d + "/manifest.json"); }},
      {"No such file", [](const std::string& d) { std::filesystem::remove(d + "/model.bin"); }},
      {"not valid JSON", [](const std::string& d) { write_text(d + "/manifest.json", "{\"files\": "); }},
  };
  for (const auto& [message, harm] : harms) {
    INFO(message);
    const TemporaryDirectory temporary;
    const RunDirectory run(temporary / "run");
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

TEST_CASE(
    "run directory: a damaged checkpoint is replaced when its step is saved again, a whole one is left") {
  const TemporaryDirectory temporary;
  const RunDirectory run(temporary / "run");
  commit(run, 20, "weights 20");
  commit(run, 20, "never written");
  CHECK(read_text(temporary / "run/checkpoints/step_00000020/model.bin") == "weights 20");
  write_text(temporary / "run/checkpoints/step_00000020/model.bin", "short");
  commit(run, 20, "weights 20");
  REQUIRE(run.newest_checkpoint(ignore).has_value());
  CHECK(read_text(run.newest_checkpoint(ignore)->directory + "/model.bin") == "weights 20");
}

TEST_CASE("run directory: a checkpoint whose writing fails leaves the ones before it and nothing else") {
  const TemporaryDirectory temporary;
  const RunDirectory run(temporary / "run");
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

TEST_CASE("run directory: a second run is refused while the first lives, and let in afterwards") {
  const TemporaryDirectory temporary;
  {
    const RunDirectory first(temporary / "run");
    CHECK_THROWS_WITH(RunDirectory(temporary / "run"),
                      contains("another run (process " + std::to_string(getpid()) + ") is using"));
  }
  CHECK_NOTHROW(RunDirectory(temporary / "run"));
}

TEST_CASE("run directory: metrics past a step are dropped, with a line that a crash cut short") {
  const TemporaryDirectory temporary;
  const RunDirectory run(temporary / "run");
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
