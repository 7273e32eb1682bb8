// Resuming, at known steps: a run is stopped after a step, or its newest checkpoint is removed. Then it is
// resumed, and must end with the same files as a run that was never stopped.
#include "apps/run/trainer.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// Eight steps of two micro-batches, on a shard of nine batches. So the fifth step ends in the second epoch.
json eight_steps(const TemporaryDirectory& temporary, const std::string& optimizer) {
  std::vector<std::int32_t> ids;
  Rng rng(8);
  for (int i = 0; i < 9 * 2 * 16 + 1; ++i) ids.push_back(static_cast<std::int32_t>(rng.below(131)));
  write_shard(temporary / "train.bin", ids, 131);
  return {{"data", temporary / "train.bin"},
          {"val_data", "tests/goldens/curve_tokens.bin"},
          {"optimizer", optimizer},
          {"steps", 8},
          {"grad_accum", 2},
          {"warmup", 2},
          {"val_every", 2},
          {"val_batches", 2},
          {"sample_every", 4},
          {"save_every", 3}};
}

void copy_run(const std::string& from, const std::string& to) {
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

struct Ended {
  std::vector<std::pair<std::int64_t, double>> losses;
  std::vector<Validation> validations;
};
Ended ended(const Trainer& trainer) {
  return {trainer.losses(), trainer.validations()};
}

// Checks that the files of two run directories are equal, except for times.
void check_same(const std::string& got, const std::string& want) {
  for (const char* file :
       {"model.bin", "config.json", "samples/step_00000004.txt", "samples/step_00000008.txt",
        "checkpoints/step_00000008/model.bin", "checkpoints/step_00000008/optimizer.bin",
        "checkpoints/step_00000008/state.json", "checkpoints/step_00000008/manifest.json"}) {
    INFO(file);
    const std::string bytes = read_text(want + "/" + file);
    CHECK_FALSE(bytes.empty());
    CHECK((read_text(got + "/" + file) == bytes));
  }
  CHECK(timeless_metrics(got) == timeless_metrics(want));
}

void check_same(const Ended& got, const Ended& want) {
  CHECK(got.losses == want.losses);
  REQUIRE(got.validations.size() == want.validations.size());
  for (std::size_t i = 0; i < got.validations.size(); ++i) {
    CHECK(got.validations[i].step == want.validations[i].step);
    CHECK(got.validations[i].loss == want.validations[i].loss);
    CHECK(got.validations[i].min_over_rows == want.validations[i].min_over_rows);
    CHECK(got.validations[i].min_over_stories == want.validations[i].min_over_stories);
  }
}

TEST_CASE("resume: a run that is stopped after a step and resumed ends with an undisturbed run's bytes") {
  for (const char* optimizer : {"adamw", "sgd"}) {
    const TemporaryDirectory temporary;
    const TrainSettings settings = tiny_settings(eight_steps(temporary, optimizer));
    Ended whole;
    {
      TinyRun run(temporary / "whole", settings);
      REQUIRE(run.start(settings).trainer.run(never));
      whole = ended(run.trainer);
      REQUIRE(whole.losses.size() == 8);
      REQUIRE(whole.validations.size() == 5);
    }
    // Stops between two checkpoints, at a checkpoint, and before and after the step in which the epoch ends.
    for (std::int64_t stop : {1, 3, 4, 5, 7}) {
      INFO(optimizer << ", stopped after step " << stop);
      const std::string path = temporary / std::to_string(stop);
      {
        TinyRun run(path, settings);
        run.start(settings);
        REQUIRE_FALSE(run.trainer.run([&] { return run.trainer.step() == stop; }));
      }
      TinyRun run(path, settings);
      CHECK(run.resume().empty());
      CHECK(run.trainer.step() == stop);
      CHECK(std::ssize(run.trainer.losses()) == stop);
      REQUIRE(run.trainer.run(never));
      check_same(ended(run.trainer), whole);
      check_same(path, temporary / "whole");
    }
  }
}

TEST_CASE("resume: without its newest checkpoint, a run continues from the checkpoint before it") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "whole", settings);
  copy_run(temporary / "whole", temporary / "cut");
  std::filesystem::remove_all(temporary / "cut/checkpoints/step_00000008");
  std::filesystem::remove(temporary / "cut/model.bin");
  TinyRun run(temporary / "cut", settings);
  CHECK(run.resume().empty());
  CHECK(run.trainer.step() == 6);
  CHECK(timeless_metrics(temporary / "cut").back().at("step") == 6);  // lines of later steps are removed
  CHECK(run.trainer.losses().size() == 6);
  CHECK(run.trainer.validations().size() == 4);
  REQUIRE(run.trainer.run(never));
  check_same(temporary / "cut", temporary / "whole");
}

TEST_CASE("resume: a damaged newest checkpoint is reported, and the run continues from the one before it") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "whole", settings);
  copy_run(temporary / "whole", temporary / "cut");
  write_text(temporary / "cut/checkpoints/step_00000008/optimizer.bin", "short");
  TinyRun run(temporary / "cut", settings);
  CHECK_THAT(run.resume(), contains("step_00000008: skipped: ") && contains("optimizer.bin"));
  CHECK(run.trainer.step() == 6);
  REQUIRE(run.trainer.run(never));
  check_same(temporary / "cut", temporary / "whole");
}

TEST_CASE("resume: a run without its checkpoints starts again, with empty metrics") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "whole", settings);
  copy_run(temporary / "whole", temporary / "cut");
  std::filesystem::remove_all(temporary / "cut/checkpoints");
  TinyRun run(temporary / "cut", settings);
  CHECK_THAT(run.resume(), contains("has no complete checkpoint; the run starts again from step 0"));
  CHECK(run.trainer.step() == 0);
  CHECK(run.trainer.losses().empty());
  CHECK(run.directory.read_metrics().empty());
  REQUIRE(run.trainer.run(never));
  check_same(temporary / "cut", temporary / "whole");
}

TEST_CASE("resume: a complete run continues if --steps is larger, and a smaller --steps is refused") {
  const TemporaryDirectory temporary;
  TrainSettings settings = tiny_settings({{"steps", 4}, {"save_every", 4}, {"schedule", "constant"}});
  train_whole(temporary / "run", settings);
  settings.steps = 6;
  {
    TinyRun run(temporary / "run", settings);
    CHECK(run.resume().empty());
    REQUIRE(run.trainer.run(never));
  }
  train_whole(temporary / "whole", settings);
  CHECK((read_text(temporary / "run/model.bin") == read_text(temporary / "whole/model.bin")));
  settings.steps = 5;
  TinyRun run(temporary / "run", settings);
  CHECK_THROWS_WITH(run.resume(), contains("--steps is 5, but the run has already taken 6 steps"));
}

TEST_CASE("resume: a checkpoint whose model differs from the settings is refused") {
  const TemporaryDirectory temporary;
  const json three = {{"steps", 3}, {"save_every", 3}};
  train_whole(temporary / "run", tiny_settings(three));
  TrainSettings other = tiny_settings(three);
  other.model.layers = 2;
  TinyRun run(temporary / "run", other);
  CHECK_THROWS_WITH(run.resume(),
                    contains("step_00000003") && contains("dimensions differ from config.json"));
}

}  // namespace
}  // namespace inkling
