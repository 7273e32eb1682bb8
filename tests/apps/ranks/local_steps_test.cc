// --local-steps: the outer step against numbers computed by hand, and whole runs, whose files depend on the
// number of replicas, but not on the ranks, the threads, or interruptions.
#include "apps/ranks/local_steps.h"

#include <atomic>

#include "nn/layer_norms.h"
#include "optim/adamw.h"
#include "optim/sgd.h"
#include "tests/apps/ranks/replicas.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const GPT2Config kModel{.max_seq_len = 8, .vocab_size = 20, .layers = 1, .heads = 1, .channels = 4};
// Its weights are more than one piece of work for a thread.
const GPT2Config kLarger{.max_seq_len = 8, .vocab_size = 200, .layers = 1, .heads = 1, .channels = 64};

// Adds `amount` to every weight, whatever the gradient.
class Adder final : public Optimizer {
 public:
  Adder(float amount, std::int64_t n) : Optimizer({{.offset = 0, .count = n, .name = "weights"}}), amount_(amount) {}
  const char* name() const override { return "adder"; }
  void step(float* weights, const float*, std::int64_t, float, float, const Updated&) override {
    for (std::int64_t i = 0; i < extent(); ++i) weights[i] += amount_;
  }
  std::vector<State> state() override { return {}; }
  double step_bytes() const override { return 0; }

 private:
  float amount_;
};

struct Tokens {
  explicit Tokens(std::uint64_t seed) : ids(16) {
    Rng rng(seed);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(rng.below(20));
  }
  MicroBatch batch() { return {Tensor(ids.data(), {2, 4}), Tensor(ids.data() + 8, {2, 4})}; }
  std::vector<std::int32_t> ids;
};

// Two replicas that add 1 and `second` in each step. Returns the first weight after each step, and checks
// that all weights have changed as much.
std::vector<float> outer_steps(int ranks, const LocalStepsSettings& settings, float second,
                               std::int64_t steps, const GPT2Config& config = kModel) {
  std::vector<float> after(static_cast<std::size_t>(steps));
  std::atomic<std::int64_t> equal = 0, in_model = 0;  // Catch's checks may run on one thread only
  on_ranks(ranks, [&](Ranks& r) {
    GPT2 model(config);  // its weights are 0
    const std::int64_t n = model.parameters().count();
    std::int64_t replica = parts_of_rank(2, r.rank(), r.size()).begin;
    LocalSteps local(r, 2, model, settings,
                     [&] { return std::make_unique<Adder>(replica++ == 0 ? 1.0f : second, n); });
    Tokens tokens(1);
    Tape tape;
    const std::vector<MicroBatch> batches(r.size() == 1 ? 2 : 1, tokens.batch());
    for (std::int64_t step = 1; step <= steps; ++step) {
      local.step(tape, batches, {.step = step, .lr = 1});
      const std::span<const float> shared = local.shared_weights();
      equal += std::all_of(shared.begin(), shared.end(), [&](float w) { return w == shared.front(); });
      if (r.leads()) after[static_cast<std::size_t>(step - 1)] = shared.front();
    }
    in_model += model.parameters().values().back() == local.shared_weights().back();
  });
  CHECK(equal == ranks * steps);
  CHECK(in_model == ranks);
  return after;
}

TEST_CASE("local steps: the outer steps are those computed by hand, on one rank and on two") {
  for (const int ranks : {1, 2}) {
    INFO("ranks " << ranks);
    // H = 2: the replicas move by 2 and 6, so the changes w - w_r are -2 and -6, and their mean g is -4.
    // b = 0.5 * 0 - 4 = -4, w = 0 - 0.25 (-4 + 0.5 * -4) = 1.5; then b = -6, w = 1.5 - 0.25 (-4 - 3) = 3.25.
    for (const GPT2Config& config : {kModel, kLarger})
      CHECK(outer_steps(ranks, {.steps = 2, .outer_lr = 0.25, .outer_momentum = 0.5}, 3, 4, config) ==
            std::vector<float>{0, 1.5f, 1.5f, 3.25f});
    // With outer learning rate 1 and no momentum: the mean of the replicas' weights.
    CHECK(outer_steps(ranks, {.steps = 1, .outer_lr = 1, .outer_momentum = 0}, 3, 3) ==
          std::vector<float>{2, 4, 6});
  }
}

TEST_CASE("local steps: in bf16, the changes, their sum and their mean are rounded to 8 bits") {
  for (const int ranks : {1, 2}) {
    INFO("ranks " << ranks);
    const LocalStepsSettings bf16{.steps = 1, .sent_as = DType::bf16, .outer_lr = 1, .outer_momentum = 0};
    // -1 and -2.015625 = -(2 + 1/64): the second is rounded to -2.015625, a bf16. The sum -3.015625 is one,
    // too, and its half -1.5078125.
    CHECK(outer_steps(ranks, bf16, 2.015625f, 1) == std::vector<float>{1.5078125f});
    // 2.001 is rounded to 2.
    CHECK(outer_steps(ranks, bf16, 2.001f, 1) == std::vector<float>{1.5f});
    // The sum 1 + 256 has nine bits, so it is rounded to 256.
    CHECK(outer_steps(ranks, bf16, 256, 1) == std::vector<float>{128});
  }
}

// A replica's optimiser is the run's own, so this step is a step of a run that is alone.
TEST_CASE("local steps: H = 1 with outer learning rate 1 and momentum 0 averages the replicas' weights") {
  GPT2 start(kModel);
  start.initialise(5);
  const auto adamw = [&] {
    return std::make_unique<AdamW>(segments_of(start.parameters().table()), AdamWSettings{});
  };
  std::vector<float> mean(static_cast<std::size_t>(start.parameters().count()));
  std::vector<double> norms;
  for (std::uint64_t replica = 0; replica < 2; ++replica) {
    GPT2 alone(kModel);
    alone.initialise(5);
    Tokens tokens(replica);
    Tape tape;
    const std::vector batches{tokens.batch()};
    training_step(alone, *adamw(), tape, batches, {.step = 1, .lr = 0.01f, .max_norm = 1});
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += alone.parameters().values()[i] / 2;
    const std::vector<double> own = norms_by_layer(alone.parameters(), alone.parameters().gradients());
    norms.resize(own.size());
    for (std::size_t i = 0; i < own.size(); ++i) norms[i] += own[i] / 2;
  }
  Tokens first(0), second(1);
  LocalSteps local(only_rank(), 2, start, {.steps = 1, .outer_lr = 1, .outer_momentum = 0}, adamw);
  Tape tape;
  const std::vector batches{first.batch(), second.batch()};
  local.step(tape, batches, {.step = 1, .lr = 0.01f, .max_norm = 1});
  constexpr float kRounding = 1e-8f;  // of w - w_r, and of w minus the mean
  float largest = 0;
  for (std::size_t i = 0; i < mean.size(); ++i)
    largest = std::max(largest, std::abs(start.parameters().values()[i] - mean[i]));
  CHECK(largest < kRounding);
  for (std::size_t i = 0; i < norms.size(); ++i)
    CHECK(local.gradient_norms()[i] == approx(norms[i]).epsilon(1e-12));
}

const json kLocal = {{"local_steps", 3}, {"save_every", 3}};

json with(json base, const json& more) {
  base.merge_patch(more);
  return base;
}

TEST_CASE("local steps: a run of four replicas has the same files on 1 to 4 ranks, and on any threads") {
  const RestoreThreads restore;
  for (const json& more : {json::object(), json{{"local_steps_dtype", "bf16"}},
                           json{{"precision", "bf16"}, {"recompute", true}}, json{{"optimizer", "sgd"}}}) {
    INFO(more);
    const TemporaryDirectory temporary;
    const TrainSettings settings = four_parts(with(kLocal, more));
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

TEST_CASE("local steps: a run stopped between outer steps, and resumed on other ranks, has the same files") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = four_parts(kLocal);
  train_on(1, temporary / "whole", settings);
  train_on(4, temporary / "run", settings, false, 2);  // after 2 of 3 local steps
  CHECK(std::filesystem::exists(temporary / "run/checkpoints/step_00000002"));
  train_on(1, temporary / "run", settings, true, 4);
  train_on(3, temporary / "run", settings, true);  // the outer velocity of step 3 is on all ranks
  check_same_files(temporary / "run", temporary / "whole", {kFiles.begin(), kFiles.end() - 1});
}

TEST_CASE("local steps: between outer steps, a checkpoint's model has the shared weights") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = four_parts(kLocal);
  train_on(2, temporary / "run", settings, false, 5);
  const std::string checkpoints = temporary / "run/checkpoints/";
  CHECK((read_text(checkpoints + "step_00000005/model.bin") ==
         read_text(checkpoints + "step_00000003/model.bin")));
  CHECK((read_text(checkpoints + "step_00000005/optimizer.bin") !=
         read_text(checkpoints + "step_00000003/optimizer.bin")));
}

TEST_CASE("local steps: a step has the loss of all replicas' rows, and a validation has each layer's norms") {
  const TemporaryDirectory temporary;
  const json changes = {{"shuffle", false}, {"steps", 3}};  // four parts have the same rows as one part
  train_on(2, temporary / "local", four_parts(with(kLocal, changes)));
  train_on(2, temporary / "together", four_parts(changes));
  const std::vector<json> local = timeless_metrics(temporary / "local"),
                          together = timeless_metrics(temporary / "together");
  const auto loss = [](const std::vector<json>& lines, std::size_t i) {
    return lines.at(i).at("loss").get<double>();
  };
  CHECK(loss(local, 1) == approx(loss(together, 1)).epsilon(1e-5));
  CHECK(std::abs(loss(local, 2) - loss(together, 2)) > 1e-5);  // the replicas differ after their first step
  for (const char* key : {"val_loss", "grad_norm_embeddings", "grad_norm_layer_1", "weight_norm_layer_1"})
    CHECK(local.back().at(key) > 0);
}

// The bytes that four ranks send in twelve steps.
std::int64_t sent_in_twelve_steps(const LocalStepsSettings& settings) {
  return on_ranks(4, [&](Ranks& r) {
    GPT2 model(kModel);
    const std::int64_t n = model.parameters().count();
    LocalSteps local(r, 4, model, settings, [&] { return std::make_unique<Adder>(1.0f, n); });
    Tokens tokens(1);
    Tape tape;
    const std::vector batches{tokens.batch()};
    for (std::int64_t step = 1; step <= 12; ++step) local.step(tape, batches, {.step = step, .lr = 1});
  });
}

TEST_CASE("local steps: with H steps, a run sends 1/H of the bytes, and in bf16 half of them") {
  const std::int64_t losses = sent_in_twelve_steps({.steps = 100});  // no outer step
  const std::int64_t often = sent_in_twelve_steps({.steps = 1}) - losses,
                     seldom = sent_in_twelve_steps({.steps = 12}) - losses,
                     bf16 = sent_in_twelve_steps({.steps = 12, .sent_as = DType::bf16}) - losses;
  const std::int64_t n = GPT2(kModel).parameters().count();
  const std::int64_t norms = 4 * 3 * 3 * 8;  // of 3 parts of the model, from each rank to each other
  CHECK(seldom == 2 * 3 * n * 4 + norms);    // the changes and their mean, as in a step of all ranks together
  CHECK(often == 12 * seldom);
  CHECK(bf16 == 2 * 3 * n * 2 + norms);
  CHECK(losses < 12 * 500);
}

TEST_CASE("local steps: a replica whose loss is NaN stops all ranks, and is named") {
  check_all_diverge({{"local_steps", 3}}, "replica 0: the loss is");
}

}  // namespace
}  // namespace inkling
