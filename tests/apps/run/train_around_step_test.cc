// The settings around a training step: the order of the data, the batches of a validation, the steps of
// validations, samples and checkpoints, and the effects of precision, recompute and the seed.
#include <filesystem>
#include <numeric>
#include <random>

#include "apps/run/profile_report.h"
#include "tests/apps/run/command_run.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;
namespace fs = std::filesystem;

// 3001 tokens have 187 batches of 16 tokens and one more target each.
constexpr std::int64_t kTinyBatches = 187;

// relative: the trainer adds the same losses in another order
constexpr double kRounding = 1e-6;

double loss_of_batch(GPT2& model, std::int64_t k) {
  TinyBatch data(k);
  Tape tape(Recording::off);
  return static_cast<double>(model.loss(tape, data.ids(), data.targets()).item());
}

double mean_loss(GPT2& model, std::int64_t batches) {
  double sum = 0;
  for (std::int64_t k = 0; k < batches; ++k) sum += loss_of_batch(model, k);
  return sum / static_cast<double>(batches);
}

GPT2 random_model(std::uint64_t seed) {
  GPT2 model(kTinyModel);
  model.initialise(seed);
  return model;
}

// llm.c's order of the batches: MT19937, and the shuffle of Fisher and Yates from the end.
std::vector<std::int64_t> shuffled(std::uint32_t seed) {
  std::vector<std::int64_t> order(kTinyBatches);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 random(seed);
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random() % (i + 1)]);
  return order;
}

TEST_CASE("train: the seed decides the weights and, if the data is shuffled, its order") {
  // With a learning rate of 0 the weights do not change, so each loss shows which batch the step used.
  for (const auto& [seed, shuffle] : {std::pair{3u, true}, {4u, true}, {3u, false}, {4u, false}}) {
    INFO("seed " << seed << (shuffle ? ", shuffled" : ", in order"));
    const CommandRun run(
        {"--steps", "5", "--lr", "0", "--seed", str(seed), shuffle ? "--shuffle" : "--no-shuffle"});
    GPT2 model = random_model(seed);
    for (std::size_t step = 0; step < 5; ++step) {
      const std::int64_t batch = shuffle ? shuffled(seed)[step] : static_cast<std::int64_t>(step);
      CHECK(run.steps()[step].at("loss").get<double>() ==
            approx(loss_of_batch(model, batch)).epsilon(kRounding));
    }
    CHECK(run.weights() ==
          std::vector<float>(model.parameters().values().begin(), model.parameters().values().end()));
  }
}

TEST_CASE("train: the data is shuffled by default") {
  const auto losses = [](const Words& flags) {
    std::vector<double> list;
    for (const json& line : CommandRun(Words{"--steps", "3", "--lr", "0"} + flags).steps())
      list.push_back(line.at("loss"));
    return list;
  };
  CHECK(losses({}) == losses({"--shuffle"}));
  CHECK(losses({}) != losses({"--no-shuffle"}));
}

TEST_CASE("train: a validation uses the first --val-batches batches, or all if there are fewer") {
  for (const auto& [given, covered] : {std::pair{1, 1}, {3, 3}, {187, 187}, {188, 187}, {1000000, 187}}) {
    INFO(given << " batches");
    const CommandRun run({"--steps", "2", "--lr", "0.01", "--val-data", kTinyShard, "--val-every", "1",
                          "--val-batches", str(given)});
    REQUIRE(run.validations().size() == 3);
    GPT2 before = random_model(kTinySeed), after = run.model();
    for (const auto& [model, line] :
         {std::pair{&before, run.validations().front()}, {&after, run.validations().back()}}) {
      const double want = mean_loss(*model, covered);
      CHECK(line.at("val_loss").get<double>() == approx(want).epsilon(kRounding));
      CHECK(line.at("val_perplexity").get<double>() == approx(std::exp(want)).epsilon(1e-5));
    }
  }
}

TEST_CASE("train: without --val-batches, a validation uses 40 batches") {
  const CommandRun run({"--steps", "1", "--val-data", kTinyShard, "--val-every", "1"});
  GPT2 model = random_model(kTinySeed);
  CHECK(run.validations().front().at("val_loss").get<double>() ==
        approx(mean_loss(model, 40)).epsilon(kRounding));
}

std::vector<std::int64_t> validated(const CommandRun& run) {
  std::vector<std::int64_t> steps;
  for (const json& line : run.validations()) steps.push_back(line.at("step"));
  return steps;
}

// The numbers in names like step_00000012.txt.
std::vector<std::int64_t> numbered(const std::string& directory) {
  std::vector<std::int64_t> steps;
  if (!fs::exists(directory)) return steps;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("step_")) steps.push_back(std::stoll(name.substr(5)));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

TEST_CASE("train: validations, samples and checkpoints come at their intervals and after the last step") {
  using Steps = std::vector<std::int64_t>;
  struct Case {
    std::int64_t steps, every;
    Steps due;
  };
  for (const Case& c : {Case{7, 3, {3, 6, 7}}, {6, 3, {3, 6}}, {3, 1, {1, 2, 3}}, {2, 5, {2}}, {1, 1, {1}}}) {
    INFO(c.steps << " steps, every " << c.every);
    const Words steps = {"--steps", str(c.steps), "--val-data", kTinyShard};
    const std::string every = str(c.every);
    Steps before_and_due = {0};
    before_and_due.insert(before_and_due.end(), c.due.begin(), c.due.end());
    // A run for each of the three flags: the other two outputs must not appear.
    const CommandRun validating(steps + Words{"--val-every", every});
    CHECK(validated(validating) == before_and_due);
    CHECK(numbered(validating.file("samples")).empty());
    CHECK(numbered(validating.file("checkpoints")).empty());
    const CommandRun sampling(steps + Words{"--sample-every", every});
    CHECK(validated(sampling).empty());
    CHECK(numbered(sampling.file("samples")) == c.due);
    CHECK(numbered(sampling.file("checkpoints")).empty());
    const CommandRun saving(steps + Words{"--save-every", every});
    CHECK(validated(saving).empty());
    CHECK(numbered(saving.file("samples")).empty());
    const Steps newest(c.due.end() - std::min<std::ptrdiff_t>(2, std::ssize(c.due)), c.due.end());
    CHECK(numbered(saving.file("checkpoints")) == newest);  // the two newest are kept
  }
}

TEST_CASE("train: the intervals of validations, samples and checkpoints do not change the weights") {
  const Words steps = {"--steps", "4", "--val-data", kTinyShard};
  const std::vector<float> quiet = CommandRun(steps).weights();
  CHECK(quiet ==
        CommandRun(steps + Words{"--val-every", "2", "--sample-every", "1", "--save-every", "3"}).weights());
}

// A trainer after start(), before its first step.
class Started {
 public:
  explicit Started(const Words& flags)
      : directory_(temporary_ / "run"), trainer_(resolve_words(tiny_words(flags)), directory_) {
    trainer_.start();
  }
  Trainer* operator->() { return &trainer_; }

 private:
  TemporaryDirectory temporary_;
  RunDirectory directory_;
  Trainer trainer_;
};

TEST_CASE("train: the seed decides a sample, and a second call gives the same sample") {
  constexpr std::int64_t kTokens = 30;
  // The weights come from a checkpoint, so that the seed decides only the sample.
  const TemporaryDirectory temporary;
  save_model(temporary / "model.bin", kTinyModel, random_model(1).parameters().values());
  const auto sample = [&](const char* seed) {
    Words words = {"--data",       kTinyShard, "--init", temporary / "model.bin",
                   "--batch-size", "2",        "--seed", seed};
    RunDirectory directory(temporary / "run");
    Trainer trainer(resolve_words(words), directory);
    trainer.start();
    const std::string text = trainer.sample(kTokens);
    CHECK(text == trainer.sample(kTokens));
    return text;
  };
  CHECK(sample("1") == sample("1"));
  CHECK(sample("1") != sample("2"));
}

TEST_CASE("train: --init starts with the checkpoint's weights") {
  const TemporaryDirectory temporary;
  GPT2 model = random_model(99);
  save_model(temporary / "model.bin", kTinyModel, model.parameters().values());
  const TemporaryDirectory run;
  RunDirectory directory(run / "run");
  Trainer trainer(resolve_words({"--data", kTinyShard, "--init", temporary / "model.bin", "--batch-size", "2",
                                 "--seq-len", "8", "--no-shuffle", "--steps", "1", "--seed", "3",
                                 "--val-every", "0", "--sample-every", "0", "--save-every", "0"}),
                  directory);
  trainer.start();
  const Captured quiet(std::cerr);
  trainer.run([] { return false; });
  CHECK(trainer.losses().front().second == approx(loss_of_batch(model, 0)).epsilon(kRounding));
}

TEST_CASE("train: --precision bf16 computes the loss in bf16") {
  GPT2 model = random_model(kTinySeed);
  const double f32 = loss_of_batch(model, 0);
  model.set_precision(Precision::bf16, Recording::on);
  const double bf16 = loss_of_batch(model, 0);
  REQUIRE(std::abs(bf16 - f32) > 10 * kRounding * f32);
  const auto first = [](const char* precision) {
    return CommandRun({"--steps", "1", "--no-shuffle", "--precision", precision}).steps().front().at("loss");
  };
  CHECK(first("f32").get<double>() == approx(f32).epsilon(kRounding));
  CHECK(first("bf16").get<double>() == approx(bf16).epsilon(kRounding));
}

TEST_CASE("train: --recompute computes activations again in backward, and gives the same weights") {
  const auto recomputed = [](const Words& flags) {
    ProfileReport report;
    Started trainer(Words{"--steps", "1"} + flags);
    trainer->watch(report);
    const Captured quiet(std::cerr);
    trainer->run([] { return false; });
    return std::any_of(report.rows().begin(), report.rows().end(),
                       [](const ProfileReport::Row& row) { return row.phase == Phase::recomputed; });
  };
  CHECK_FALSE(recomputed({}));
  CHECK(recomputed({"--recompute"}));
  CHECK(CommandRun({"--steps", "3"}).weights() == CommandRun({"--steps", "3", "--recompute"}).weights());
}

}  // namespace
}  // namespace inkling
