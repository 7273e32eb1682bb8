// The training loop around the step, on a tiny model in the test's process: validations, samples,
// checkpoints, and the end of a run.
#include "apps/run/trainer.h"

#include <cmath>
#include <map>
#include <numeric>

#include "apps/run/strict_json.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "nn/layer_norms.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/nn/reference_gpt2.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::string kShard = "tests/goldens/curve_tokens.bin", kModel = "tests/goldens/small.bin";
constexpr double kFloatAgainstDouble = 1e-5;  // relative error of a mean of float losses, added in double

// The mean loss of the first `rows` rows of T tokens of the shard.
double reference_loss(std::int64_t rows, std::int64_t T) {
  const Shard shard(kShard);
  GPT2 model = load_model(kModel);
  ReferenceGpt2 reference(model);
  double sum = 0;
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(T + 1));
  for (std::int64_t r = 0; r < rows; ++r) {
    shard.copy(r * T, T + 1, tokens.data());
    for (double loss : reference.token_losses(tokens)) sum += loss;
  }
  return sum / static_cast<double>(rows * T);
}

std::vector<std::int64_t> steps_of(const std::vector<Validation>& validations) {
  std::vector<std::int64_t> steps;
  for (const Validation& v : validations) steps.push_back(v.step);
  return steps;
}

TEST_CASE("trainer: a validation also has the norms of each layer's weights and of the step's gradients") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"val_data", kShard},
                                                {"steps", 4},
                                                {"val_every", 2},
                                                {"val_batches", 3},
                                                {"grad_clip", 1e-3},
                                                {"grad_accum", 2}});
  TinyRun run(temporary / "run", settings);
  REQUIRE(run.start(settings).trainer.run(never));
  std::vector<json> validations;
  std::map<std::int64_t, double> norms;  // of the whole gradient, by step
  for (const json& line : run.directory.read_metrics()) {
    if (line.contains("val_loss"))
      validations.push_back(line);
    else
      norms[line.at("step")] = line.at("grad_norm");
  }
  REQUIRE(validations.size() == 3);
  const std::vector<std::string> parts = {"embeddings", "layer_1", "last_layernorm"};
  CHECK_FALSE(validations[0].contains("grad_norm_layer_1"));  // before the first step
  for (const json& line : {validations[1], validations[2]}) {
    double squares = 0;
    for (const std::string& part : parts) squares += std::pow(line.at("grad_norm_" + part).get<double>(), 2);
    CHECK(std::sqrt(squares) == approx(norms.at(line.at("step"))).epsilon(kFloatAgainstDouble));
  }
  GPT2 model = load_model(run.directory.file("model.bin"));
  const std::vector<double> want = norms_by_layer(model.parameters(), model.parameters().values());
  for (std::size_t part = 0; part < 3; ++part)
    CHECK(validations[2].at("weight_norm_" + parts[part]).get<double>() == want[part]);
}

TEST_CASE("trainer: a validation is the mean loss of the shard's first rows, the same rows each time") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"init", kModel},
                                                {"val_data", kShard},
                                                {"steps", 5},
                                                {"lr", 0.0},  // the weights do not change
                                                {"val_every", 2},
                                                {"val_batches", 3}});
  TinyRun run(temporary / "run", settings);
  REQUIRE(run.start(settings).trainer.run(never));
  const double want = reference_loss(3 * 2, 16);
  const std::vector<Validation>& validations = run.trainer.validations();
  CHECK(steps_of(validations) == std::vector<std::int64_t>{0, 2, 4, 5});
  for (const Validation& v : validations) {
    CHECK(v.loss == approx(want).epsilon(kFloatAgainstDouble));
    CHECK(v.loss == validations.front().loss);
    CHECK_FALSE(v.min_over_rows.has_value());
  }
  std::size_t seen = 0;
  for (json line : timeless_metrics(temporary / "run")) {
    if (!line.contains("val_loss")) continue;
    for (auto it = line.begin(); it != line.end();)
      it = it.key().find("_norm_") != std::string::npos ? line.erase(it) : std::next(it);
    REQUIRE(seen < validations.size());
    CHECK(line == json{{"step", validations[seen].step},
                       {"val_loss", validations[seen].loss},
                       {"val_perplexity", std::exp(validations[seen].loss)}});
    ++seen;
  }
  CHECK(seen == validations.size());
}

TEST_CASE("trainer: a validation of more batches than the shard has uses every batch once") {
  const TemporaryDirectory temporary;
  const Shard shard(kShard);
  std::vector<std::int32_t> tokens(5 * 2 * 16 + 1 + 20);  // five batches, and too few tokens for a sixth
  shard.copy(0, std::ssize(tokens), tokens.data());
  write_shard(temporary / "val.bin", tokens, 131);
  const TrainSettings settings = tiny_settings({{"init", kModel},
                                                {"val_data", temporary / "val.bin"},
                                                {"steps", 1},
                                                {"val_every", 1},
                                                {"val_batches", 7}});
  TinyRun run(temporary / "run", settings);
  run.start(settings).trainer.run(never);
  CHECK(run.trainer.validations().front().loss ==
        approx(reference_loss(5 * 2, 16)).epsilon(kFloatAgainstDouble));
}

TEST_CASE("trainer: the first step's loss is the mean over its micro-batches") {
  const TemporaryDirectory temporary;
  const TrainSettings settings =
      tiny_settings({{"init", kModel}, {"shuffle", false}, {"steps", 1}, {"grad_accum", 3}});
  TinyRun run(temporary / "run", settings);
  run.start(settings).trainer.run(never);
  REQUIRE(run.trainer.losses().size() == 1);
  CHECK(run.trainer.losses()[0].first == 1);
  CHECK(run.trainer.losses()[0].second == approx(reference_loss(3 * 2, 16)).epsilon(kFloatAgainstDouble));
}

TEST_CASE("trainer: validations, samples and checkpoints come at their intervals and after the last step") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings(
      {{"val_data", kShard}, {"steps", 8}, {"val_every", 3}, {"sample_every", 3}, {"save_every", 3}});
  TinyRun run(temporary / "run", settings);
  REQUIRE(run.start(settings).trainer.run(never));
  CHECK(run.trainer.step() == 8);
  CHECK(steps_of(run.trainer.validations()) == std::vector<std::int64_t>{0, 3, 6, 8});
  CHECK(names_in(temporary / "run/samples") ==
        std::vector<std::string>{"step_00000003.txt", "step_00000006.txt", "step_00000008.txt"});
  CHECK(names_in(temporary / "run/checkpoints") ==
        std::vector<std::string>{"step_00000006", "step_00000008"});
  const std::string checkpoint = temporary / "run/checkpoints/step_00000008";
  CHECK(names_in(checkpoint) ==
        std::vector<std::string>{"manifest.json", "model.bin", "optimizer.bin", "state.json"});
  CHECK((read_text(checkpoint + "/model.bin") == read_text(temporary / "run/model.bin")));
  CHECK((read_text(temporary / "run/checkpoints/step_00000006/model.bin") !=
         read_text(temporary / "run/model.bin")));
  // The file counts samples, which are batches of 2 x 16 tokens. Eight steps use eight of them.
  CHECK(read_json(checkpoint + "/state.json").at("data").at("sample") == 8);
}

TEST_CASE("trainer: with an interval of 0 there are no validations, samples or checkpoints") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"val_data", kShard}, {"steps", 2}});
  TinyRun run(temporary / "run", settings);
  REQUIRE(run.start(settings).trainer.run(never));
  CHECK(run.trainer.validations().empty());
  CHECK(names_in(temporary / "run") ==
        std::vector<std::string>{"config.json", "lock", "metrics.jsonl", "model.bin"});
}

TEST_CASE("trainer: a step's line of metrics has its loss, gradient norm, time and tokens per second") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"steps", 4}, {"grad_accum", 2}});
  TinyRun run(temporary / "run", settings);
  run.start(settings).trainer.run(never);
  const std::vector<json> lines = run.directory.read_metrics();
  REQUIRE(lines.size() == 4);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i].at("step") == i + 1);
    CHECK(std::pair<std::int64_t, double>(lines[i].at("step"), lines[i].at("loss")) ==
          run.trainer.losses()[i]);
    CHECK(lines[i].at("grad_norm") > 0);
    const double tokens = lines[i].at("tokens_per_s").get<double>() * lines[i].at("ms").get<double>() / 1000;
    CHECK(tokens == approx(2.0 * 16 * 2));
  }
}

TEST_CASE("trainer: a request to stop finishes the step, saves a checkpoint and ends the run early") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"steps", 6}});
  TinyRun run(temporary / "run", settings);
  int asked = 0;
  CHECK_FALSE(run.start(settings).trainer.run([&] { return ++asked == 3; }));
  CHECK(asked == 3);
  CHECK(run.trainer.step() == 3);
  CHECK(run.directory.read_metrics().size() == 3);
  CHECK(names_in(temporary / "run/checkpoints") == std::vector<std::string>{"step_00000003"});
  CHECK_FALSE(std::filesystem::exists(temporary / "run/model.bin"));
}

TEST_CASE("trainer: after a request to stop in the last step, the run is complete") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"steps", 3}});
  TinyRun run(temporary / "run", settings);
  CHECK(run.start(settings).trainer.run([&] { return run.trainer.step() == 3; }));
  CHECK(std::filesystem::exists(temporary / "run/model.bin"));
}

TEST_CASE("trainer: a sample is always the same for the same step, and different at another step") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"steps", 3}, {"lr", 0.0}, {"sample_every", 1}});
  for (const char* name : {"one", "two"}) train_whole(temporary / name, settings);
  std::vector<std::string> texts;
  for (const char* file :
       {"/samples/step_00000001.txt", "/samples/step_00000002.txt", "/samples/step_00000003.txt"}) {
    texts.push_back(read_text(temporary / "one" + file));
    CHECK(texts.back() == read_text(temporary / "two" + file));
    CHECK(texts.back().ends_with("\n"));
  }
  CHECK(texts[0] != texts[1]);  // the weights are the same, so the random numbers differ
  CHECK(texts[1] != texts[2]);
  TinyRun again(temporary / "three", settings);
  again.start(settings);
  const std::string first = again.trainer.sample(30);
  CHECK(first == again.trainer.sample(30));
  CHECK(std::count(first.begin(), first.end(), ' ') <= 29);
}

TEST_CASE("trainer: with a tokenizer, samples are text") {
  const TemporaryDirectory temporary;
  std::vector<std::string> tokens;
  for (int id = 0; id < 131; ++id) tokens.push_back(std::string(1, static_cast<char>('a' + id % 26)));
  Tokenizer(tokens, 130).write(temporary / "letters.bin");
  const TrainSettings settings =
      tiny_settings({{"steps", 1}, {"sample_every", 1}, {"tokenizer", temporary / "letters.bin"}});
  train_whole(temporary / "run", settings);
  const std::string text = read_text(temporary / "run/samples/step_00000001.txt");
  CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz\n") == std::string::npos);
  CHECK((read_text(temporary / "run/tokenizer.bin") == read_text(temporary / "letters.bin")));
}

// Saves the golden model, with its weights changed, as `path`.
void write_changed_model(const std::string& path, const std::function<void(GPT2&)>& change) {
  GPT2 model = load_model(kModel);
  change(model);
  save_model(path, model.config(), model.parameters().values());
}

// Trains `model`. Checks that the first step throws Diverged with a message that contains `why`, before the
// update.
void check_diverges(const std::string& run_path, const std::string& model, const std::string& why) {
  const TrainSettings settings = tiny_settings({{"init", model}, {"save_every", 1}, {"sample_every", 1}});
  TinyRun run(run_path, settings);
  run.start(settings);
  bool diverged = false;
  try {
    run.trainer.run(never);
  } catch (const Diverged& error) {
    diverged = true;
    CHECK_THAT(error.what(), contains(why) && contains(kShard + ": tokens "));
  }
  CHECK(diverged);
  CHECK(run.trainer.step() == 0);
  CHECK(run.trainer.losses().empty());
  CHECK(names_in(run_path) == std::vector<std::string>{"config.json", "lock"});
}

TEST_CASE("trainer: a loss of NaN or infinity ends the run before the update") {
  const TemporaryDirectory temporary;
  // Activations overflow, and sums of them are inf - inf.
  write_changed_model(temporary / "nan.bin", [](GPT2& model) {
    for (float& w : model.parameters().values_of(kLnfw)) w = 3e38f;
  });
  check_diverges(temporary / "nan", temporary / "nan.bin", "the loss is nan at step 1");
  // The logits are finite, near 3e38 and -3e38. The difference between the largest and the target's logit
  // overflows.
  write_changed_model(temporary / "inf.bin", [](GPT2& model) {
    for (float& w : model.parameters().values_of(kLnfw)) w = 0;
    for (float& b : model.parameters().values_of(kLnfb)) b = 0;
    model.parameters().values_of(kLnfb)[0] = 1e19f;
    const std::span<float> wte = model.parameters().values_of(kWte);
    for (std::size_t v = 0; v < 131; ++v) wte[v * 30] = v == 0 ? 3e19f : -3e19f;
  });
  check_diverges(temporary / "inf", temporary / "inf.bin", "the loss is infinite at step 1");
}

// Makes the gradient infinite while the loss is finite. The MLP's inner activations are near 1e8, but its
// output weights are 0, so the activations have no effect on the loss. The last norm's weights of 1e35 make
// dresidual near 1e33. The gradient of the output weights is the product of the two, which overflows.
void make_gradient_infinite(GPT2& model) {
  for (float& w : model.parameters().values_of(kFcprojw)) w = 0;
  for (float& w : model.parameters().values_of(kLn2w)) w = 1e8f;
  for (float& w : model.parameters().values_of(kLnfw)) w = 1e35f;
}

TEST_CASE("trainer: an infinite gradient norm ends the run before the update") {
  const TemporaryDirectory temporary;
  write_changed_model(temporary / "model.bin", make_gradient_infinite);
  check_diverges(temporary / "run", temporary / "model.bin", "the gradient's norm is infinite at step 1");
}

TEST_CASE("trainer: a validation loss of NaN ends the run, and is not in the metrics") {
  const TemporaryDirectory temporary;
  write_changed_model(temporary / "model.bin", [](GPT2& model) {
    for (float& w : model.parameters().values_of(kLnfw)) w = 3e38f;
  });
  const TrainSettings settings = tiny_settings(
      {{"init", temporary / "model.bin"}, {"val_data", kShard}, {"val_every", 1}, {"val_batches", 1}});
  TinyRun run(temporary / "run", settings);
  run.start(settings);
  CHECK_THROWS_WITH(run.trainer.run(never), contains("diverged: the validation loss is nan at step 0"));
  CHECK(run.directory.read_metrics().empty());
}

// The last row of wpe is for a position that the run does not use, so its gradient is 0. Weight decay makes
// it a million times larger.
TEST_CASE("trainer: weights that are not finite are never saved") {
  const TemporaryDirectory temporary;
  write_changed_model(temporary / "model.bin",
                      [](GPT2& model) { model.parameters().values_of(kWpe).back() = 1e37f; });
  for (const int save_every : {0, 1}) {
    const std::string path = temporary / str("run", save_every);
    const TrainSettings settings = tiny_settings({{"init", temporary / "model.bin"},
                                                  {"lr", 1e3},
                                                  {"weight_decay", 1e3},
                                                  {"save_every", save_every},
                                                  {"steps", 1},
                                                  {"warmup", 0}});
    TinyRun run(path, settings);
    run.start(settings);
    CHECK_THROWS_WITH(run.trainer.run(never), contains("diverged: a weight is infinite after step 1"));
    CHECK(run.directory.last_checkpoint().empty());
    CHECK_FALSE(std::filesystem::exists(path + "/model.bin"));
  }
}

TEST_CASE("trainer: a weight that is not finite is found at each end of the weights") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = tiny_settings({{"save_every", 6}});
  train_whole(temporary / "run", settings);
  const std::string checkpoint = temporary / "run/checkpoints/step_00000006";
  const std::string optimizer = read_text(checkpoint + "/optimizer.bin"),
                    state = read_text(checkpoint + "/state.json");
  const std::int64_t last = settings.model.parameter_count() - 1;
  for (const std::int64_t at : {std::int64_t{0}, last}) {
    INFO("weight " << at);
    GPT2 model = load_model(temporary / "run/model.bin");
    model.parameters().values()[static_cast<std::size_t>(at)] = NAN;
    std::filesystem::remove_all(checkpoint);
    TinyRun run(temporary / "run", settings);
    run.directory.commit_checkpoint(6, [&](const std::string& into) {
      save_model(into + "/model.bin", model.config(), model.parameters().values());
      write_text(into + "/optimizer.bin", optimizer);
      write_text(into + "/state.json", state);
    });
    run.resume();
    const std::string before = read_text(temporary / "run/model.bin");
    CHECK_THROWS_WITH(run.trainer.run(never), contains("diverged: a weight is nan after step 6"));
    CHECK((read_text(temporary / "run/model.bin") == before));
  }
}

}  // namespace
}  // namespace inkling
