// The files that a resumed run reads: config.json, state.json, manifest.json and metrics.jsonl, with damaged
// or wrong contents. A fault in the settings or the state is an error that names the file and the key. A
// damaged checkpoint or line of metrics is skipped.
#include "apps/run/run_directory.h"
#include "apps/run/state_file.h"
#include "apps/run/train_settings.h"
#include "core/error.h"
#include "tests/apps/process.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// Settings as a run saves them.
json saved_settings() {
  TrainSettings s;
  s.data = "a_train.bin", s.val_data = "", s.schedule = "cosine";
  s.model = {.max_seq_len = 8, .vocab_size = 131, .layers = 1, .heads = 2, .channels = 16};
  s.batch_size = 2, s.seq_len = 8, s.steps = 20, s.lr = 1e-3, s.val_batches = 40;
  return s;
}

// Checks that resolve_resumed() refuses `saved` with an error about the file, not about the command line, and
// that the message contains all `words`.
void refused(const json& saved, const std::vector<std::string>& words) {
  INFO(saved.dump());
  try {
    resolve_resumed(saved, {}, "run/config.json");
    FAIL_CHECK("was accepted as the settings of a run");
  } catch (const UsageError& error) {
    FAIL_CHECK("blames the command line: " << error.what());
  } catch (const Error& error) {
    CHECK_THAT(error.what(), contains("run/config.json: "));
    CHECK_THAT(error.what(), !contains("--"));
    for (const std::string& word : words) CHECK_THAT(error.what(), contains(word));
  }
}

json with(const std::string& pointer, const json& value) {
  json saved = saved_settings();
  saved[json::json_pointer(pointer)] = value;
  return saved;
}

TEST_CASE("config.json: a complete file is read, and so is an older file without the newer settings") {
  json saved = saved_settings();
  CHECK(json(resolve_resumed(saved, {}, "c")) == saved);
  saved.erase("recompute");
  saved.erase("loss_mask");
  saved.erase("document_mask");
  saved.erase("replicas");
  for (const char* key : {"local_steps", "local_steps_dtype", "outer_lr", "outer_momentum"}) saved.erase(key);
  CHECK_FALSE(resolve_resumed(saved, {}, "c").recompute);
  CHECK(resolve_resumed(saved, {}, "c").loss_mask);
  CHECK_FALSE(resolve_resumed(saved, {}, "c").document_mask);
  CHECK(resolve_resumed(saved, {}, "c").replicas == 1);
  CHECK(resolve_resumed(saved, {}, "c").local_steps == 0);
}

TEST_CASE("config.json: each missing setting is an error that names the file and the setting") {
  refused(json::object(), {"is missing"});
  const json whole = saved_settings();
  for (const auto& [key, value] : whole.items()) {
    if (key == "recompute" || key == "loss_mask" || key == "document_mask" || key == "replicas") continue;
    if (key.starts_with("local_steps") || key.starts_with("outer_")) continue;
    json saved = whole;
    saved.erase(key);
    refused(saved, {key + " is missing, expected "});
  }
  for (const auto& [key, value] : whole["model"].items()) {
    json saved = whole;
    saved["model"].erase(key);
    refused(saved, {"model." + key + " is missing, expected an integer"});
  }
}

TEST_CASE("config.json: numbers that do not fit a setting's type are refused, not converted") {
  refused(with("/steps", 1e19), {"steps is 1e+19, expected an integer from 0 to 2147483648"});
  refused(with("/seed", 1e20), {"seed is 1e+20, expected an integer from 0 to 18446744073709551615"});
  refused(with("/seed", -1), {"seed is -1"});
  refused(with("/steps", 20.5), {"steps is 20.5"});
  refused(with("/steps", std::uint64_t{1} << 63), {"steps is 9223372036854775808"});
  refused(with("/model/layers", 1e19), {"model.layers is 1e+19"});
  CHECK(resolve_resumed(with("/seed", ~std::uint64_t{0}), {}, "c").seed == ~std::uint64_t{0});
}

TEST_CASE("config.json: values of a wrong range or type, and unknown settings, are errors of the file") {
  refused(with("/batch_size", 0), {"batch_size is 0, expected 1 to"});
  refused(with("/lr", -1.0), {"lr is -1"});
  refused(with("/min_lr", 1.0), {"min_lr is 1"});
  refused(with("/seq_len", 9), {"seq_len is 9", "maximum of 8"});
  refused(with("/model/heads", 3), {"heads (NH), which is 3"});
  refused(with("/optimizer", "adam"), {"optimizer is adam"});
  refused(with("/precision", "int8"), {"precision is int8"});
  refused(with("/schedule", "zigzag"), {"schedule", "zigzag"});
  refused(with("/shuffle", 1), {"shuffle is 1, expected true or false"});
  refused(with("/data", 1), {"data is 1, expected a text"});
  refused(with("/lr", "1"), {"lr is \"1\", expected a number"});
  refused(with("/model", json::array()), {"model is an array, expected an object"});
  refused(with("/setps", 3), {"setps is unknown"});
  refused(with("/model/width", 3), {"model.width is unknown"});
  refused(json::array(), {"not the settings of a run"});
}

TEST_CASE("config.json: a flag with a value out of range is an error of the command line") {
  TrainFlags flags;
  flags.given["steps"] = 0;
  CHECK_THROWS_AS(resolve_resumed(saved_settings(), flags, "c"), UsageError);
  CHECK_THROWS_WITH(resolve_resumed(saved_settings(), flags, "c"), contains("--steps is 0"));
  flags.given["steps"] = 40;
  CHECK(resolve_resumed(saved_settings(), flags, "c").steps == 40);
}

json saved_state() {
  return state_to_json(
      {.epoch = 1,
       .shard_order = {1, 0},
       .shard = 1,
       .sample = 2,
       .draws = 9,
       .B = 2,
       .T = 3,
       .tokens = 99,
       .shuffle = true,
       .align_documents = false,
       .seed = 42,
       .shards = {{"a_train.bin", 1224, "00ff"}, {"b_train.bin", 1424, "0123456789abcdef"}}});
}

TEST_CASE(
    "state.json: missing values, and values of a wrong type or range, are errors that name file and key") {
  CHECK(state_to_json(state_from_json(saved_state(), "s")) == saved_state());
  const auto refused_state = [](const json& state, const std::string& message) {
    INFO(state.dump());
    CHECK_THROWS_AS(state_from_json(state, "step_3/state.json"), Error);
    CHECK_THROWS_WITH(state_from_json(state, "step_3/state.json"), contains("step_3/state.json: " + message));
  };
  refused_state(json::object(), "data is missing, expected an object");
  refused_state({{"data", 3}}, "data is 3, expected an object");
  const json whole = saved_state();
  for (const auto& [key, value] : whole["data"].items()) {
    json state = whole;
    if (key != "shards") {  // which older programs did not save
      state["data"].erase(key);
      refused_state(state, "data." + key + " is missing, expected ");
    }
    state["data"][key] = "x";
    refused_state(state, "data." + key + " is \"x\", expected ");
  }
  const auto with_value = [&](const char* key, const json& value) {
    json state = whole;
    state["data"][key] = value;
    return state;
  };
  refused_state(with_value("epoch", 1e17), "data.epoch is 1e+17");
  refused_state(with_value("epoch", 100'000'000'000'000'000), "data.epoch is 100000000000000000");
  refused_state(with_value("epoch", -1), "data.epoch is -1");
  refused_state(with_value("draws", 1'000'000'000'000'000'000), "data.draws is 1000000000000000000");
  refused_state(with_value("seed", 4294967338), "data.seed is 4294967338");  // its lower 32 bits are 42
  refused_state(with_value("shards", {7}), "data.shards[0] is 7, expected an object");
  refused_state(with_value("shards", {{{"file", "x"}, {"bytes", 0}}}), "data.shards[0].bytes is 0");
  json without = whole;
  without["data"].erase("shards");
  CHECK(state_from_json(without, "s").shards.empty());
  refused_state(with_value("shard_order", {0, -1}), "data.shard_order[1] is -1");
}

TEST_CASE("manifest.json: without files, or with wrong entries, it makes its checkpoint a damaged one") {
  const TemporaryDirectory t;
  RunDirectory run(t / "run");
  run.commit_checkpoint(3,
                        [](const std::string& directory) { write_text(directory + "/model.bin", "hello"); });
  const auto damage = [&] {
    try {
      run.newest_checkpoint([](const std::string&) {});
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  REQUIRE(damage().empty());
  const std::string path = t / "run/checkpoints/step_00000003/manifest.json";
  const json whole = json::parse(read_text(path));
  const auto with_manifest = [&](const std::string& text) {
    write_text(path, text);
    return damage();
  };
  const auto with_file = [&](const std::string& name, const json& value) {
    json manifest = whole;
    manifest["files"][name] = value;
    return with_manifest(manifest.dump());
  };
  CHECK_THAT(with_manifest("{}"), contains("manifest.json: files is missing, expected an object"));
  CHECK_THAT(with_manifest("[]"), contains("manifest.json: is an array"));
  CHECK_THAT(with_manifest(R"({"files": {}})"), contains("manifest.json: files is empty"));
  CHECK_THAT(with_manifest(R"({"files": null})"), contains("manifest.json: files is null"));
  CHECK_THAT(with_manifest(std::string(80'000, '[')), contains("deeper than"));
  CHECK_THAT(with_file("model.bin", json::object()),
             contains("manifest.json: files.model.bin.bytes is missing"));
  CHECK_THAT(with_file("model.bin", {{"bytes", 5}}), contains("files.model.bin.xxh3 is missing"));
  CHECK_THAT(with_file("model.bin", {{"bytes", -5}, {"xxh3", ""}}), contains("files.model.bin.bytes is -5"));
  CHECK_THAT(with_file("model.bin", {{"bytes", 5.5}, {"xxh3", ""}}),
             contains("files.model.bin.bytes is 5.5"));
  CHECK_THAT(with_file("more.bin", whole["files"]["model.bin"]), contains("\"more.bin\": No such file"));
  // A path that leaves the checkpoint's directory is refused, even if that file exists and matches.
  const std::string outside = "../step_00000003/model.bin";
  CHECK_THAT(with_file(outside, whole["files"]["model.bin"]), contains("expected only names of files"));
  CHECK(with_manifest(whole.dump()).empty());
}

TEST_CASE("metrics.jsonl: damaged lines are skipped, and the other lines are read") {
  const TemporaryDirectory t;
  RunDirectory run(t / "run");
  for (const char* damaged :
       {R"({"step":1e19})", R"({"step":-1})", R"({"step":2.5})", R"({"step":99999999999,"loss":1.0})",
        R"({"loss":1.0})", R"({"step":2,"loss":null})", R"({"step":2,"loss":"x"})", R"({"step":2,"step":3})",
        "[]", "7", "", "\xff", R"({"step":2,"loss":1e999})"}) {
    INFO(damaged);
    const std::string good = R"({"step":1,"loss":2.5})", after = R"({"step":3,"loss":1.5})";
    write_text(t / "run/metrics.jsonl", good + "\n" + damaged + "\n" + after + "\n");
    const auto lines = run.read_metrics();
    REQUIRE(lines.size() == 2);
    CHECK(lines[0] == json::parse(good));
    CHECK(lines[1] == json::parse(after));
    run.drop_metrics_after(1);
    CHECK(read_text(t / "run/metrics.jsonl") == R"({"loss":2.5,"step":1})"
                                                "\n");
  }
  write_text(t / "run/metrics.jsonl", std::string(80'000, '[') + "\n");
  CHECK(run.read_metrics().empty());
}

TEST_CASE("resume: a run with wrong values in its saved files is refused with one line") {
  const TemporaryDirectory t;
  const std::string config = t / "run/config.json", checkpoint = t / "run/checkpoints/step_00000020";
  REQUIRE(run(twenty_steps(t / "run")).status == 0);
  const std::vector<std::string> resume = {"train", "--out", t / "run", "--resume"};
  const std::string whole_config = read_text(config);
  write_text(config, std::string(80'000, '[') + std::string(80'000, ']'));
  expect(resume, 1, {"config.json", "deeper than 16 levels"});
  write_text(config, "{}");
  expect(resume, 1, {"config.json", "is missing, expected"});
  write_text(config, whole_config);

  // Saves the checkpoint again, with another position in the data and a correct manifest.
  const std::string model = read_text(checkpoint + "/model.bin"),
                    optimizer = read_text(checkpoint + "/optimizer.bin");
  const json whole = json::parse(read_text(checkpoint + "/state.json"));
  const auto save_with = [&](const json& change) {
    std::filesystem::remove_all(checkpoint);
    json state = whole;
    state.merge_patch({{"data", change}});
    RunDirectory(t / "run").commit_checkpoint(20, [&](const std::string& directory) {
      write_text(directory + "/model.bin", model);
      write_text(directory + "/optimizer.bin", optimizer);
      write_text(directory + "/state.json", state.dump());
    });
  };
  save_with({{"epoch", 100'000'000'000'000'000}, {"draws", 1'000'000'000'000'000'000}});
  expect(resume, 1, {"step_00000020/state.json", "data.epoch is 100000000000000000"});
  save_with({{"epoch", std::numeric_limits<std::int64_t>::max()}});
  expect(resume, 1, {"step_00000020/state.json", "data.epoch is 9223372036854775807"});
  save_with({{"draws", nullptr}});  // merge_patch removes the key
  expect(resume, 1, {"step_00000020/state.json", "data.draws is missing"});
  save_with({{"draws", whole["data"]["draws"].get<std::int64_t>() + 1}});
  expect(resume, 1, {"step_00000020/state.json", "random numbers, expected"});
  save_with({{"sample", whole["data"]["sample"].get<std::int64_t>() - 1}});
  expect(resume, 1, {"step_00000020/state.json", "comes after 19 batches, expected 20 at step 20"});
  save_with(json::object());
  CHECK(run(resume).status == 0);
}

}  // namespace
}  // namespace inkling
