// Resuming, at known steps: a run is stopped after a step, or its newest checkpoint is removed. Then it is
// resumed, and must end with the same files as a run that was never stopped.
#include <map>

#include "apps/run/data_files.h"
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
  check_same_files(got, want,
                   {"model.bin", "config.json", "samples/step_00000004.txt", "samples/step_00000008.txt",
                    "checkpoints/step_00000008/model.bin", "checkpoints/step_00000008/optimizer.bin",
                    "checkpoints/step_00000008/state.json", "checkpoints/step_00000008/manifest.json"});
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

TEST_CASE("resume: with kernels of another instruction set, a run continues to the same bytes") {
  const RestoreIsa restore;
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "whole", settings);
  for (const Kernels* first : tables()) {
    for (const Kernels* second : tables()) {
      if (!fuses_multiply_add(first->isa) || !fuses_multiply_add(second->isa)) continue;
      INFO("from " << name(first->isa) << " to " << name(second->isa));
      const TemporaryDirectory t;
      use_table(*first);
      {
        TinyRun run(t / "run", settings);
        run.start(settings);
        REQUIRE_FALSE(run.trainer.run([&] { return run.trainer.step() == 5; }));
      }
      use_table(*second);
      TinyRun run(t / "run", settings);
      CHECK(run.resume().empty());
      REQUIRE(run.trainer.run(never));
      check_same(t / "run", temporary / "whole");
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

// The names and bytes of all files in a directory, except for the lock.
std::map<std::string, std::string> files_in(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.path().filename() != "lock")
      files[entry.path().string()] = read_text(entry.path().string());
  }
  return files;
}

TEST_CASE("resume: if every checkpoint is damaged, the run is refused, and no file changes") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "run", settings);
  write_text(temporary / "run/checkpoints/step_00000008/optimizer.bin", "short");
  std::filesystem::remove(temporary / "run/checkpoints/step_00000006/manifest.json");
  // Even the unfinished checkpoint of a killed run stays: it may have the only complete model.
  std::filesystem::create_directory(temporary / "run/checkpoints/.unfinished");
  write_text(temporary / "run/checkpoints/.unfinished/model.bin", "unfinished");
  write_text(temporary / "run/config.json.tmp-inkling", "unfinished");
  const auto before = files_in(temporary / "run");
  TinyRun run(temporary / "run", settings);
  CHECK_THROWS_WITH(run.resume(), contains("every checkpoint is damaged") && contains("another --out") &&
                                      contains("step_00000008/optimizer.bin: size is 5 bytes") &&
                                      contains("step_00000006/manifest.json: cannot open"));
  CHECK(files_in(temporary / "run") == before);
}

TEST_CASE(
    "resume: damaged checkpoints past the step that the run resumes from are deleted at its next save") {
  const TemporaryDirectory temporary;
  TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "run", settings);
  const std::string checkpoints = temporary / "run/checkpoints";
  for (const char* later : {"/step_00000400", "/step_00000500"}) {
    copy_run(checkpoints + "/step_00000008", checkpoints + later);
    write_text(checkpoints + later + "/model.bin", "short");
  }
  settings.steps = 9;
  TinyRun run(temporary / "run", settings);
  CHECK_THAT(run.resume(), contains("step_00000400: skipped") && contains("step_00000500: skipped"));
  CHECK(run.trainer.step() == 8);
  REQUIRE(run.trainer.run(never));
  CHECK(names_in(checkpoints) == std::vector<std::string>{"step_00000008", "step_00000009"});
}

TEST_CASE("resume: a complete run without checkpoints is refused, and no file changes") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"save_every", 0}});
  train_whole(temporary / "run", settings);
  const auto before = files_in(temporary / "run");
  TinyRun run(temporary / "run", settings);
  CHECK_THROWS_WITH(run.resume(), contains("no checkpoint to continue from") && contains("--init"));
  CHECK(files_in(temporary / "run") == before);
}

TEST_CASE("resume: a run that continues removes what a killed run did not finish, even if it saves nothing") {
  const TemporaryDirectory temporary;
  TrainSettings settings = tiny_settings({{"steps", 4}, {"save_every", 4}});
  train_whole(temporary / "run", settings);
  const auto before = files_in(temporary / "run");
  std::filesystem::create_directory(temporary / "run/checkpoints/.unfinished");
  write_text(temporary / "run/checkpoints/.unfinished/model.bin", "unfinished");
  write_text(temporary / "run/config.json.tmp-inkling", "unfinished");
  settings.save_every = 0;
  TinyRun(temporary / "run", settings).resume();
  CHECK_FALSE(std::filesystem::exists(temporary / "run/checkpoints/.unfinished"));
  CHECK(files_in(temporary / "run") == before);
}

TEST_CASE("resume: a run that was killed before its first checkpoint starts again, with empty metrics") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(eight_steps(temporary, "adamw"));
  train_whole(temporary / "whole", settings);
  copy_run(temporary / "whole", temporary / "cut");
  std::filesystem::remove_all(temporary / "cut/checkpoints");
  std::filesystem::remove(temporary / "cut/model.bin");
  TinyRun run(temporary / "cut", settings);
  CHECK_THAT(run.resume(), contains("has no checkpoint yet; the run starts again from step 0"));
  CHECK(run.trainer.step() == 0);
  CHECK(run.trainer.losses().empty());
  CHECK(run.directory.read_metrics().empty());
  REQUIRE(run.trainer.run(never));
  check_same(temporary / "cut", temporary / "whole");
}

// What happens when a run of 8 steps, stopped after 3, is resumed with `flags`, after `change` to its data in
// temporary/old: the message of an error, or nothing if it ends with the bytes of the undisturbed run.
std::string resumed_after(const std::function<void(const std::string& data)>& change,
                          const std::function<json(const std::string& data)>& flags) {
  const TemporaryDirectory temporary;
  const std::string data = temporary / "old";
  std::filesystem::create_directory(data);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 20'000; ++i) ids.push_back(i * i % 100);
  for (const char* name : {"/a_train.bin", "/a_val.bin"}) write_shard(data + name, ids, 131);
  const TrainSettings settings =
      tiny_settings({{"data", data + "/a_train.bin"}, {"steps", 8}, {"val_every", 4}});
  train_whole(temporary / "whole", settings);
  {
    TinyRun run(temporary / "run", settings);
    run.start(settings);
    run.trainer.run([&] { return run.trainer.step() == 3; });
  }
  change(data);
  const std::string config = temporary / "run/config.json";
  try {
    const TrainSettings now =
        resolve_resumed(read_json(config), {.given = flags(data), .model_name = ""}, config);
    expect_data(now);
    TinyRun run(temporary / "run", now);
    run.resume();
    run.trainer.run(never);
    CHECK((read_text(temporary / "run/model.bin") == read_text(temporary / "whole/model.bin")));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

const auto no_flags = [](const std::string&) { return json::object(); };
std::string moved(const std::string& data) {
  return data.substr(0, data.rfind('/')) + "/new";
}
const auto moved_data = [](const std::string& data) { return json{{"data", moved(data) + "/b_train.bin"}}; };
void move(const std::string& data) {
  std::filesystem::rename(data, moved(data));
  for (const char* name : {"train.bin", "val.bin"})
    std::filesystem::rename(moved(data) + "/a_" + name, moved(data) + "/b_" + name);
}
// Changes one byte of a file, and leaves its length as it is.
void change_byte(const std::string& path, std::ptrdiff_t at) {
  std::string bytes = read_text(path);
  bytes[static_cast<std::size_t>(at < 0 ? std::ssize(bytes) + at : at)] ^= 1;
  write_text(path, bytes);
}

TEST_CASE("resume: data that has moved is found with --data, and the run ends with the same bytes") {
  CHECK(resumed_after([](const std::string&) {}, no_flags).empty());
  CHECK_THAT(resumed_after(move, no_flags), contains("/old/a_train.bin: no file has this name") &&
                                                contains("give its new place with --data"));
  CHECK(resumed_after(move, moved_data).empty());
}

TEST_CASE(
    "resume: a shard with other contents of the same length is refused, for training and for validation") {
  for (const std::ptrdiff_t at : {1024, 1026, -2}) {
    const auto change = [&](const std::string& data) { change_byte(data + "/a_train.bin", at); };
    CHECK_THAT(resumed_after(change, no_flags),
               contains("state.json: ") && contains("/a_train.bin: the contents differ from a_train.bin"));
  }
  const auto change = [](const std::string& data) { change_byte(data + "/a_val.bin", -2); };
  CHECK_THAT(resumed_after(change, no_flags), contains("/a_val.bin: the contents differ from a_val.bin"));
  const auto change_moved = [](const std::string& data) {
    move(data);
    change_byte(moved(data) + "/b_train.bin", -2);
  };
  CHECK_THAT(resumed_after(change_moved, moved_data),
             contains("/b_train.bin: the contents differ from a_train.bin"));
}

TEST_CASE("resume: the shards for validation are remembered while validation is turned off") {
  const TemporaryDirectory temporary;
  const std::string shard = temporary / "val.bin";
  write_shard(shard, std::vector<std::int32_t>(100, 1), 131);
  TrainSettings settings = tiny_settings({{"val_data", shard}, {"val_every", 2}});
  const auto stop_after = [&](std::int64_t step, std::int64_t val_every) {
    settings.val_every = val_every;
    TinyRun run(temporary / "run", settings);
    if (step == 2) run.start(settings);
    if (step != 2) run.resume();
    run.trainer.run([&] { return run.trainer.step() == step; });
  };
  stop_after(2, 2);
  stop_after(4, 0);
  write_shard(shard, std::vector<std::int32_t>(100, 2), 131);
  CHECK_THROWS_WITH(stop_after(6, 2), contains("val.bin: the contents differ from val.bin"));
}

TEST_CASE("resume: a longer or shorter shard is refused with both sizes") {
  const auto change = [](const std::string& data) {
    write_shard(data + "/a_train.bin", std::vector<std::int32_t>(19'999, 1), 131);
  };
  CHECK_THAT(resumed_after(change, no_flags), contains("has 41022 bytes, expected 41024 as in a_train.bin"));
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
