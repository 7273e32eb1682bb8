// Whole training runs on several ranks, which are threads of this process: the result depends on the number
// of parts (--replicas), but not on the number of ranks or threads, also across an interruption.
#include <atomic>
#include <filesystem>

#include "apps/ranks/agreement.h"
#include "tests/apps/ranks/replicas.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

TEST_CASE("ranks: a run of four parts has the same files on 1, 2, 3 and 4 ranks, and on any threads") {
  const RestoreThreads restore;
  for (const json& changes :
       {json::object(), json{{"optimizer", "sgd"}}, json{{"precision", "bf16"}, {"recompute", true}}}) {
    INFO(changes);
    const TemporaryDirectory temporary;
    const TrainSettings settings = four_parts(changes);
    set_threads(1);
    train_on(1, temporary / "1", settings);
    for (const int ranks : {2, 3, 4}) {
      INFO("ranks " << ranks);
      set_threads(ranks);
      train_on(ranks, temporary / str(ranks), settings);
      check_same_files(temporary / str(ranks), temporary / "1", kFiles);
    }
  }
}

TEST_CASE(
    "ranks: a run that was stopped and resumed on other numbers of ranks has the files of the whole run") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = four_parts();
  train_on(1, temporary / "whole", settings);
  train_on(4, temporary / "run", settings, false, 2);
  train_on(2, temporary / "run", settings, true, 5);
  train_on(3, temporary / "run", settings, true);
  check_same_files(temporary / "run", temporary / "whole", {kFiles.begin(), kFiles.end() - 1});
}

TEST_CASE("ranks: the first step has the mean loss of the whole batch, and its gradient's norm") {
  const TemporaryDirectory temporary;
  // Without shuffling, four parts have the same rows as one part.
  const json changes = {{"shuffle", false}, {"steps", 1}, {"val_every", 0}};
  const auto first = [&](const TrainSettings& settings, const std::string& name) {
    train_on(static_cast<int>(settings.replicas), temporary / name, settings);
    return timeless_metrics(temporary / name).front();
  };
  const json parts = first(four_parts(changes), "4");
  json one_part = changes;
  one_part["replicas"] = 1;
  const json whole = first(four_parts(one_part), "1");
  constexpr double kOtherOrder = 1e-5;  // relative: the sums have another order
  CHECK(parts["loss"].get<double>() == approx(whole["loss"].get<double>()).epsilon(kOtherOrder));
  CHECK(parts["grad_norm"].get<double>() == approx(whole["grad_norm"].get<double>()).epsilon(kOtherOrder));
  // AdamW's first step moves each weight by about lr = 0.01, whatever the size of its gradient.
  GPT2 a = load_model(temporary / "4/model.bin"), b = load_model(temporary / "1/model.bin");
  const auto x = a.parameters().values(), y = b.parameters().values();
  std::int64_t close = 0;
  for (std::size_t i = 0; i < x.size(); ++i) close += std::abs(x[i] - y[i]) < 1e-4f;
  CHECK(static_cast<double>(close) > 0.99 * static_cast<double>(x.size()));
}

TEST_CASE("ranks: a validation has the norm of the gradient of each layer, as in a run of one part") {
  const TemporaryDirectory temporary;
  // Without shuffling, four parts have the same rows as one part.
  const json changes = {{"shuffle", false}, {"steps", 1}, {"val_every", 1}};
  json one_part = changes;
  one_part["replicas"] = 1;
  train_on(1, temporary / "1", four_parts(one_part));
  train_on(3, temporary / "4", four_parts(changes));
  const json want = timeless_metrics(temporary / "1").back(), got = timeless_metrics(temporary / "4").back();
  double squares = 0;
  for (const char* layer : {"embeddings", "layer_1", "last_layernorm"}) {
    INFO(layer);
    const std::string key = str("grad_norm_", layer);
    CHECK(got.at(key).get<double>() == approx(want.at(key).get<double>()).epsilon(1e-5));
    squares += std::pow(got.at(key).get<double>(), 2);
  }
  const json step = timeless_metrics(temporary / "4").at(1);
  CHECK(std::sqrt(squares) == approx(step.at("grad_norm").get<double>()).epsilon(1e-6));
}

TEST_CASE("ranks: a validation has the same loss for any number of parts") {
  const TemporaryDirectory temporary;
  std::vector<double> losses;
  for (const std::int64_t parts : {1, 2, 4}) {
    train_on(static_cast<int>(parts), temporary / str(parts),
             four_parts({{"replicas", parts}, {"steps", 1}}));
    losses.push_back(timeless_metrics(temporary / str(parts)).front()["val_loss"]);  // before the first step
  }
  CHECK(losses[0] == approx(losses[1]).epsilon(1e-6));
  CHECK(losses[0] == approx(losses[2]).epsilon(1e-6));
}

TEST_CASE("ranks: a loss mask that counts no target of a part, and the targets of some parts, is one mean") {
  const TemporaryDirectory temporary;
  std::vector<std::int32_t> ids;
  Rng rng(8);
  const std::int64_t count = 8 * 16 * 2 + 1;
  for (std::int64_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(rng.below(131)));
  write_shard(temporary / "train.bin", ids, 131);
  // Only tokens in the first row of each batch of eight rows count.
  std::ofstream mask(temporary / "train.mask", std::ios::binary);
  std::vector<std::int32_t> header(256);
  header[0] = 20261121, header[1] = 1, header[2] = static_cast<std::int32_t>(count);
  mask.write(reinterpret_cast<const char*>(header.data()), 1024);
  for (std::int64_t i = 0; i < count; ++i) mask.put(i % 128 > 0 && i % 128 < 10 ? 1 : 0);
  mask.close();
  json changes = {{"data", temporary / "train.bin"}, {"val_every", 0}, {"shuffle", false}, {"grad_accum", 1}};
  const TrainSettings settings = four_parts(changes);
  train_on(1, temporary / "1", settings);
  train_on(4, temporary / "4", settings);
  check_same_files(temporary / "4", temporary / "1", kFiles);
  changes["replicas"] = 1;
  train_on(1, temporary / "whole", four_parts(changes));
  CHECK(timeless_metrics(temporary / "4").front()["loss"].get<double>() ==
        approx(timeless_metrics(temporary / "whole").front()["loss"].get<double>()).epsilon(1e-5));
}

TEST_CASE("ranks: a loss that is NaN stops all ranks, and the message names the step") {
  check_all_diverge(json::object(), "the loss is");
}

TEST_CASE("agreement: an error of one rank is thrown on all ranks, with its rank and host") {
  std::atomic<int> caught = 0;
  on_ranks(3, [&](Ranks& ranks) {
    try {
      together(ranks, [&] {
        if (ranks.rank() == 2) throw UsageError("--steps is 0");
      });
    } catch (const SharedError& error) {
      caught += error.what() == std::string("rank 2 on host host2: --steps is 0") && error.status() == 2;
    }
  });
  CHECK(caught == 3);
}

TEST_CASE("agreement: an error of rank 0 keeps its message, and without an error nothing is thrown") {
  std::atomic<int> caught = 0, calls = 0;
  on_ranks(2, [&](Ranks& ranks) {
    together(ranks, [&] { ++calls; });
    try {
      together(ranks, [&] { fail("no such file"); });
    } catch (const SharedError& error) {
      caught += error.what() == std::string("no such file") && error.status() == 1;
    }
  });
  CHECK(calls == 2);
  CHECK(caught == 2);
}

TEST_CASE("agreement: ranks with different texts are refused, with both texts") {
  std::atomic<int> caught = 0;
  on_ranks(3, [&](Ranks& ranks) {
    expect_same(ranks, "the flags", "equal");
    try {
      expect_same(ranks, "the flags", ranks.rank() == 1 ? "--steps 9\n--lr 1\n" : "--steps 9\n--lr 2\n");
    } catch (const SharedError& error) {
      const std::string message = error.what();
      caught +=
          message.find("the flags of the ranks differ") == 0 &&
          message.find("rank 1 on host host1 has --lr 1, rank 0 on host host0 has --lr 2") != message.npos;
    }
  });
  CHECK(caught == 3);
}

}  // namespace
}  // namespace inkling
