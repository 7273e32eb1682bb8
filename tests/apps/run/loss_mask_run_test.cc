// Loss masks in whole commands: train, its validation, --no-loss-mask and eval count only the targets that
// the mask counts.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/apps/process.h"
#include "tests/apps/run/command_run.h"
#include "tests/apps/run/tiny_run.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;
using Flags = std::vector<std::uint8_t>;

// A copy of the tiny run's shard, with a loss mask.
class MaskedData {
 public:
  explicit MaskedData(const Flags& mask) {
    std::filesystem::copy_file(kTinyShard, path());
    TokenFlagsWriter flags(kLossMask, flags_beside(kLossMask, path()));
    flags.append(mask);
    flags.commit();
  }
  std::string path() const { return directory_ / "masked.bin"; }
  std::string operator/(const std::string& name) const { return directory_ / name; }

 private:
  TemporaryDirectory directory_;
};

std::size_t shard_tokens() {
  return static_cast<std::size_t>(Shard(kTinyShard).size());
}

// Counts every third token.
Flags every_third() {
  Flags mask(shard_tokens());
  for (std::size_t i = 0; i < mask.size(); i += 3) mask[i] = 1;
  return mask;
}

// The mean loss of the tokens of batch 0 that the mask counts.
double counted_loss(GPT2& model, const Flags& mask) {
  TinyBatch batch(0);
  std::vector<float> losses(kTinyB * kTinyT);
  Tape tape(Recording::off);
  model.token_losses(tape, batch.ids(), batch.targets(), losses.data());
  double sum = 0, counted = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (mask[i + 1] == 0) continue;
    sum += static_cast<double>(losses[i]);
    ++counted;
  }
  return sum / counted;
}

TEST_CASE("train: losses and validations are means over the targets that the loss mask counts") {
  const MaskedData data(every_third());
  const Words flags = {"--data",        data.path(), "--val-data", data.path(), "--val-every",  "1",
                       "--val-batches", "1",         "--steps",    "1",         "--no-shuffle", "--schedule",
                       "constant"};
  const CommandRun masked(flags);
  GPT2 start(kTinyModel);
  start.initialise(kTinySeed);
  const double want = counted_loss(start, every_third());
  CHECK(masked.steps().front().at("loss").get<double>() == approx(want).epsilon(1e-6));
  CHECK(masked.validations().front().at("val_loss").get<double>() == approx(want).epsilon(1e-6));
  GPT2 end = masked.model();
  CHECK(masked.validations().back().at("val_loss").get<double>() ==
        approx(counted_loss(end, every_third())).epsilon(1e-6));

  const CommandRun all(flags + Words{"--no-loss-mask"});
  const double all_want = counted_loss(start, Flags(shard_tokens(), 1));
  CHECK(all.steps().front().at("loss").get<double>() == approx(all_want).epsilon(1e-6));
  CHECK(all.validations().front().at("val_loss").get<double>() == approx(all_want).epsilon(1e-6));
  CHECK(all.weights() != masked.weights());
}

TEST_CASE(
    "train: with a loss mask, --grad-accum 4 gives the loss and the gradient of a batch four times as "
    "large") {
  Flags mask(shard_tokens());  // the sequences of the first step have 0, 1, 2, ... counted targets
  for (std::size_t row = 0; row < 8; ++row) {
    for (std::size_t t = 0; t < row; ++t) mask[row * kTinyT + 1 + t] = 1;
  }
  const MaskedData data(mask);
  const Words flags = {"--data", data.path(), "--steps", "1", "--no-shuffle"};
  const json big = CommandRun(flags + Words{"--batch-size", "8"}).steps().front(),
             accumulated =
                 CommandRun(flags + Words{"--batch-size", "2", "--grad-accum", "4"}).steps().front();
  CHECK(accumulated.at("loss").get<double>() == approx(big.at("loss").get<double>()).epsilon(1e-6));
  CHECK(accumulated.at("grad_norm").get<double>() == approx(big.at("grad_norm").get<double>()).epsilon(1e-6));
}

TEST_CASE("train: a step without any counted target makes no update, and has no loss") {
  Flags mask(shard_tokens(), 0);
  for (std::size_t i = 2 * kTinyB * kTinyT + 1; i < mask.size(); ++i) mask[i] = 1;  // from the third batch on
  const MaskedData data(mask);
  const Words flags = {"--data", data.path(), "--no-shuffle", "--warmup", "0", "--schedule", "constant"};
  GPT2 start(kTinyModel);
  start.initialise(kTinySeed);
  const std::vector<float> initial(start.parameters().values().begin(), start.parameters().values().end());
  const CommandRun two(flags + Words{"--steps", "2"}), three(flags + Words{"--steps", "3"});
  CHECK(two.weights() == initial);
  CHECK(two.steps().empty());
  CHECK(two.metrics().size() == 2);
  CHECK(three.weights() != initial);
  REQUIRE(three.steps().size() == 1);
  CHECK(three.steps().front().at("step") == 3);
  CHECK(std::isfinite(three.steps().front().at("loss").get<double>()));
}

TEST_CASE("resume: a run whose loss mask has changed is refused, and one with the same mask continues") {
  const MaskedData data(every_third());
  const TrainSettings settings = tiny_settings({{"data", data.path()}, {"steps", 4}, {"save_every", 2}});
  train_whole(data / "run", settings);
  std::filesystem::remove_all(data / "run/checkpoints/step_00000004");
  std::filesystem::remove(data / "run/model.bin");
  CHECK(TinyRun(data / "run", settings).resume().empty());
  Flags other = every_third();
  other.back() ^= 1;
  TokenFlagsWriter flags(kLossMask, flags_beside(kLossMask, data.path()));
  flags.append(other);
  flags.commit();
  TinyRun changed(data / "run", settings);
  CHECK_THROWS_WITH(changed.resume(),
                    contains("state.json: ") && contains("masked.mask: the loss mask is not the same"));
}

TEST_CASE("loss mask: train and eval without a counted target are clear errors") {
  const MaskedData nothing(Flags(shard_tokens(), 0));
  CHECK_THROWS_WITH(CommandRun({"--data", nothing.path()}), contains("no token counts as a target"));
  Flags late(shard_tokens(), 0);
  late[late.size() / 2] = 1;
  const MaskedData data(late);
  CHECK_THROWS_WITH(CommandRun({"--val-data", data.path(), "--val-every", "1", "--val-batches", "1"}),
                    contains("validation: the loss mask leaves out every target of the first 1 batches"));
  const Outcome outcome = run({"eval", "--model", "tests/goldens/small.bin", "--data", data.path(),
                               "--seq-len", "8", "--batches", "2"});
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.err, contains("eval: the loss mask leaves out every target of the first 2 batches"));
}

TEST_CASE("eval: the loss is the mean over the targets that the loss mask counts") {
  const auto evaluate = [](const std::string& path) {
    const Outcome outcome =
        run({"eval", "--model", "tests/goldens/small.bin", "--data", path, "--seq-len", "16", "--json"});
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    return json::parse(outcome.out);
  };
  // The tokens are divided among three masks. The sums of their losses add up to the sum without a mask.
  double nats = 0;
  std::int64_t tokens = 0;
  for (const std::size_t part : {0u, 1u, 2u}) {
    Flags mask(shard_tokens());
    for (std::size_t i = part; i < mask.size(); i += 3) mask[i] = 1;
    const json result = evaluate(MaskedData(mask).path());
    nats += result.at("loss").get<double>() * result.at("tokens").get<double>();
    tokens += result.at("tokens").get<std::int64_t>();
  }
  const json all = evaluate(kTinyShard);
  CHECK(all.at("tokens") == tokens);
  CHECK(nats / static_cast<double>(tokens) == approx(all.at("loss").get<double>()).epsilon(1e-6));
}

}  // namespace
}  // namespace inkling
