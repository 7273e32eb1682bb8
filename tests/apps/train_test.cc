// inkling train as a process: the loss curve, interruptions, and the files that a run leaves.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/apps/nan_model.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::vector<std::string> kTiny = {"--data",       "tests/goldens/curve_tokens.bin",
                                        "--vocab-size", "131",
                                        "--layers",     "2",
                                        "--heads",      "2",
                                        "--channels",   "16",
                                        "--seq-len",    "16",
                                        "--batch-size", "2",
                                        "--threads",    "2",
                                        "--precision",  "f32"};

std::vector<std::string> train(const std::string& out, const std::vector<std::string>& flags) {
  return std::vector<std::string>{"train", "--out", out} + kTiny + flags;
}

std::vector<json> metrics(const std::string& run) {
  std::vector<json> lines;
  std::ifstream file(run + "/metrics.jsonl");
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST_CASE("train: the losses of ten steps from a checkpoint equal PyTorch's") {
  const TemporaryDirectory temporary;
  std::ifstream file("tests/goldens/curve.json");
  const json golden = json::parse(file);
  const json& hyper = golden["hyper"];
  const Outcome outcome = run({"train",
                               "--out",
                               temporary / "run",
                               "--data",
                               "tests/goldens/curve_tokens.bin",
                               "--init",
                               "tests/goldens/small.bin",
                               "--no-shuffle",
                               "--precision",
                               "f32",
                               "--batch-size",
                               golden["B"].dump(),
                               "--seq-len",
                               golden["T"].dump(),
                               "--steps",
                               "10",
                               "--lr",
                               hyper["lr"].dump(),
                               "--schedule",
                               "constant",
                               "--warmup",
                               "0",
                               "--weight-decay",
                               hyper["weight_decay"].dump(),
                               "--beta1",
                               hyper["betas"][0].dump(),
                               "--beta2",
                               hyper["betas"][1].dump(),
                               "--grad-clip",
                               hyper["grad_clip"].dump(),
                               "--sample-every",
                               "0",
                               "--save-every",
                               "0"});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  constexpr double kAllowed = 2e-5;  // floats against floats, with sums in other orders, after ten steps
  std::size_t step = 0;
  for (const json& line : metrics(temporary / "run")) {
    if (!line.contains("loss")) continue;
    const double want = golden["trajectory"][step]["loss"];
    CHECK(std::abs(line["loss"].get<double>() - want) < kAllowed);
    CHECK(line["step"] == ++step);
  }
  CHECK(step == 10);
}

// The number of complete lines in a run's metrics.jsonl.
std::int64_t metrics_lines(const std::string& run) {
  const std::string text = read_text(run + "/metrics.jsonl");
  return std::count(text.begin(), text.end(), '\n');
}

TEST_CASE("train: a run that is killed many times and resumed ends with the bytes of an undisturbed run") {
  const TemporaryDirectory temporary;
  const std::string cut = temporary / "cut", whole = temporary / "whole";
  // The interrupted run has so many steps that it is still running at every signal, even on a fast machine.
  // The test chooses the final number of steps afterwards. This is possible because, with a constant learning
  // rate, a step does not depend on the number of steps.
  const std::vector<std::string> flags = {"--schedule",   "constant", "--warmup",       "0",
                                          "--save-every", "13",       "--sample-every", "0",
                                          "--val-every",  "0",        "--grad-accum",   "2"};
  const std::vector<int> signals = {SIGKILL, SIGTERM, SIGINT, SIGKILL};
  Rng rng(2026);
  for (std::size_t attempt = 0; attempt < 12; ++attempt) {
    const bool resumed = std::filesystem::exists(cut + "/config.json");
    const std::int64_t before = metrics_lines(cut), more = static_cast<std::int64_t>(rng.below(40));
    Process process(resumed ? std::vector<std::string>{"train", "--out", cut, "--resume"}
                            : train(cut, flags + std::vector<std::string>{"--steps", "1000000000"}));
    // Every fourth process gets its signal while it starts.
    if (attempt % 4 != 3) process.watch([&] { return metrics_lines(cut) > before + more; });
    const int signal = signals[attempt % signals.size()];
    process.send(signal);
    const Outcome outcome = process.wait();
    INFO(outcome.err);
    REQUIRE(outcome.status == 128 + signal);
  }
  const std::string steps = str(metrics_lines(cut) + 5);
  REQUIRE(run({"train", "--out", cut, "--resume", "--steps", steps}).status == 0);
  REQUIRE(run(train(whole, flags + std::vector<std::string>{"--steps", steps})).status == 0);
  const std::string model = read_text(whole + "/model.bin");
  REQUIRE(model.size() > 1024);
  // With the second parentheses, Catch2 does not print both files.
  CHECK((read_text(cut + "/model.bin") == model));
  // The metrics are the same too, with one line for each step.
  const auto a = metrics(whole), b = metrics(cut);
  REQUIRE(str(a.size()) == steps);
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i]["step"] == b[i]["step"]);
    CHECK(a[i]["loss"] == b[i]["loss"]);
  }
}

TEST_CASE("train: SIGINT, SIGTERM and SIGHUP finish the step, save a checkpoint, and print how to continue") {
  const int signal = GENERATE(SIGINT, SIGTERM, SIGHUP);
  const TemporaryDirectory temporary;
  Process process(train(temporary / "run", {"--steps", "1000000000", "--save-every", "0", "--sample-every",
                                            "0", "--val-every", "0"}));
  const auto started = [&] { return metrics_lines(temporary / "run") > 0; };
  process.watch(started);
  REQUIRE(started());
  process.send(signal);
  const Outcome outcome = process.wait();
  CHECK(outcome.status == 128 + signal);
  CHECK_THAT(outcome.err, contains("--resume"));
  const json last = metrics(temporary / "run").back();
  CHECK(std::filesystem::exists(temporary / str("run/checkpoints/step_",
                                                std::string(8 - last["step"].dump().size(), '0'),
                                                last["step"].dump())));
}

TEST_CASE("train: a shard that another program shortens ends the run with one line that names the shard") {
  const TemporaryDirectory temporary;
  const std::string shard = temporary / "my_train.bin";
  std::filesystem::copy("tests/goldens/curve_tokens.bin", shard);
  std::vector<std::string> command =
      train(temporary / "run", {"--steps", "1000000000", "--save-every", "0", "--sample-every", "0"});
  std::replace(command.begin(), command.end(), std::string("tests/goldens/curve_tokens.bin"), shard);
  Process process(command);
  process.watch([&] { return metrics_lines(temporary / "run") > 0; });
  std::filesystem::resize_file(shard, 1024);
  const Outcome outcome = process.wait();
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.err, contains("inkling: " + shard + ": the file became shorter while it was read"));
}

TEST_CASE("train: with stdin, stdout or stderr closed, no message is written into a file of the run") {
  for (const char* closed : {"<&-", ">&-", "2>&-", "<&- >&- 2>&-"}) {
    INFO(closed);
    const TemporaryDirectory temporary;
    std::string command = binary();
    for (const std::string& word : train(temporary / "run", {"--steps", "3"})) command += " '" + word + "'";
    CHECK(std::system((command + " >/dev/null 2>/dev/null " + closed).c_str()) == 0);
    const std::string lock = read_text(temporary / "run/lock");
    CHECK(lock.find_first_not_of("0123456789") == std::string::npos);
    CHECK(metrics(temporary / "run").size() >= 3);
  }
}

TEST_CASE("train: one shard can be given for both training and validation") {
  const TemporaryDirectory temporary;
  const std::vector<std::string> flags = {"--val-data", "tests/goldens/curve_tokens.bin", "--steps", "2"};
  const Outcome outcome = run(train(temporary / "run", flags));
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(metrics(temporary / "run").front().contains("val_loss"));
}

TEST_CASE("train: a loss that is NaN stops the run before the update, and the message has the data's place") {
  const TemporaryDirectory temporary;
  std::string model = read_text("tests/goldens/small.bin");
  // The weights of the last norm, lnfw, are so large that sums of infinite numbers give the logits.
  const std::vector<float> large(30, 3e38f);
  std::memcpy(model.data() + model.size() - 4 * 60, large.data(), 4 * 30);
  write_text(temporary / "large.bin", model);
  const Outcome outcome =
      run({"train", "--out", temporary / "run", "--data", "tests/goldens/curve_tokens.bin", "--init",
           temporary / "large.bin", "--batch-size", "2", "--seq-len", "16", "--steps", "5"});
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.err,
             contains("diverged: the loss is nan at step 1, expected a finite number: try a lower --lr; "
                      "there is no checkpoint"));
  CHECK_THAT(outcome.err, contains("curve_tokens.bin"));
  CHECK_FALSE(std::filesystem::exists(temporary / "run/model.bin"));
}

TEST_CASE("train: --init with a weight that is NaN is an error that names the tensor") {
  const TemporaryDirectory temporary;
  expect({"train", "--out", temporary / "run", "--data", "tests/goldens/curve_tokens.bin", "--init",
          write_nan_model(temporary), "--batch-size", "2", "--seq-len", "16", "--steps", "5", "--precision",
          "f32"},
         1, {kNanModelError});
}

TEST_CASE("train: a run that was killed before its first checkpoint starts again with a message") {
  const TemporaryDirectory temporary;
  REQUIRE(run(twenty_steps(temporary / "run")).status == 0);
  const std::string model = read_text(temporary / "run/model.bin");
  std::filesystem::remove_all(temporary / "run/checkpoints");
  std::filesystem::remove(temporary / "run/model.bin");
  const Outcome outcome = run({"train", "--out", temporary / "run", "--resume"});
  CHECK(outcome.status == 0);
  CHECK_THAT(outcome.err, contains("has no checkpoint yet; the run starts again from step 0"));
  CHECK((read_text(temporary / "run/model.bin") == model));
  const auto lines = metrics(temporary / "run");
  CHECK(std::count_if(lines.begin(), lines.end(), [](const json& line) { return line.contains("loss"); }) ==
        20);
}

TEST_CASE("train: --resume saves changed settings in config.json, and the next --resume uses them") {
  const TemporaryDirectory temporary;
  const std::string old = temporary / "old/", moved = temporary / "new/",
                    config = temporary / "run/config.json";
  std::filesystem::create_directory(old);
  for (const char* shard : {"my_train.bin", "my_val.bin"})
    std::filesystem::copy("tests/goldens/curve_tokens.bin", old + shard);
  const auto expect_success = [](const Words& words) {
    const Outcome outcome = run(words);
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
  };
  const Words resume = {"train", "--out", temporary / "run", "--resume"};
  expect_success(Words{"train", "--out", temporary / "run", "--data", old + "my_train.bin"} +
                 Words{"--vocab-size", "131", "--layers", "1", "--heads", "2", "--channels", "16"} +
                 Words{"--seq-len", "16", "--steps", "2", "--precision", "f32"});
  json want = json::parse(read_text(config));
  std::filesystem::rename(old, moved);
  expect_success(resume + Words{"--data", moved + "my_train.bin", "--steps", "4", "--val-every", "4",
                                "--val-batches", "7", "--sample-every", "0", "--save-every", "3",
                                "--recompute"});
  want.update({{"data", moved + "my_train.bin"},
               {"val_data", moved + "my_val.bin"},
               {"steps", 4},
               {"val_every", 4},
               {"val_batches", 7},
               {"sample_every", 0},
               {"save_every", 3},
               {"recompute", true}});
  CHECK(json::parse(read_text(config)) == want);
  expect_success(resume + Words{"--steps", "5"});
  want["steps"] = 5;
  CHECK(json::parse(read_text(config)) == want);
  // A resume that fails changes nothing, and neither does --print-config.
  const std::string before = read_text(config);
  expect(resume + Words{"--steps", "1", "--val-every", "1"}, 2, {"--steps is 1"});
  expect_success(resume + Words{"--steps", "9", "--print-config"});
  CHECK(read_text(config) == before);
}

TEST_CASE("train: without checkpoints, the summary does not suggest --resume") {
  const TemporaryDirectory temporary;
  const Outcome outcome =
      run(twenty_steps(temporary / "run") + std::vector<std::string>{"--save-every", "0"});
  CHECK_THAT(outcome.out, contains("inkling generate"));
  CHECK(outcome.out.find("--resume") == std::string::npos);
}

TEST_CASE("train: a short text of the user, cut by tokenize, is long enough for the default batch") {
  const TemporaryDirectory temporary;
  std::string text;
  while (text.size() < 9000) text += "the quick brown fox jumps over the lazy dog. ";
  write_text(temporary / "text", text);
  const Outcome cut = run({"tokenize", "--input", temporary / "text", "--out", temporary / "my", "--bytes"});
  CHECK(cut.status == 0);
  CHECK_THAT(cut.out, contains("my_val.bin: 2,052 tokens"));
  // The glob matches both shards and the tokenizer. Their names distinguish them.
  const Outcome trained = run({"train", "--out", temporary / "run", "--data", temporary / "my_*.bin",
                               "--layers", "1", "--channels", "16", "--heads", "2", "--steps", "2"});
  INFO(trained.err);
  CHECK(trained.status == 0);
  CHECK(metrics(temporary / "run").front().contains("val_loss"));
  CHECK(std::filesystem::exists(temporary / "run/tokenizer.bin"));
}

TEST_CASE("train: the seed decides the model's bytes, and the number of threads does not") {
  const TemporaryDirectory temporary;
  const auto model = [&](const std::string& name, const std::vector<std::string>& flags) {
    REQUIRE(run(twenty_steps(temporary / name) + flags).status == 0);
    return read_text(temporary / (name + "/model.bin"));
  };
  const std::string one = model("one", {"--threads", "1"});
  CHECK(one == model("three", {"--threads", "3"}));
  CHECK(one != model("seed", {"--threads", "1", "--seed", "7"}));
}

TEST_CASE("train: a second signal of the same kind ends the process at once, in the middle of a step") {
  const TemporaryDirectory temporary;
  // The first step has so many micro-batches that it does not end while the test runs.
  const std::vector<std::string> flags = {
      "--grad-accum",  "1000000", "--steps",    "1",
      "--val-batches", "1",       "--val-data", "tests/goldens/curve_tokens.bin"};
  Process process(train(temporary / "run", flags));
  process.watch(
      [&] { return metrics_lines(temporary / "run") > 0; });  // the validation before the first step
  // Signals that arrive together count as one. So more are sent until the process has ended.
  process.watch([&] {
    process.send(SIGINT);
    return false;
  });
  const Outcome outcome = process.wait();
  INFO(outcome.err);
  CHECK(outcome.status == 128 + SIGINT);
  CHECK_FALSE(outcome.err.find("stopped after step") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(temporary / "run/checkpoints"));
}

}  // namespace
}  // namespace inkling
