// The model against PyTorch: logits, loss, every gradient, and ten steps of AdamW.
#include "tests/nn/golden.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/run/training_step.h"
#include "core/parallel.h"
#include "ops/cross_entropy.h"
#include "optim/adamw.h"
#include "optim/clip.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// PyTorch's float32 differs from its float64 by up to 2.4e-6 in these logits, and by up to 8e-7 of the
// largest gradient of a tensor. Our model adds in another order, so it may differ by somewhat more.
constexpr Tolerance kLogits{2e-5, 1e-5};
constexpr double kLoss = 1e-5;
constexpr double kGradientOfLargest = 1e-5;
constexpr double kTrajectoryLoss = 2e-5;
constexpr double kTrajectoryNorm = 1e-5;  // relative
constexpr double kWeightAfterTen = 5e-5;

std::span<const float> slice_of(std::span<const float> all, const Parameter& p) {
  return all.subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.shape.numel()));
}

void check_gradients(GPT2& model, std::span<const float> want) {
  for (const Parameter& p : model.parameters().table()) {
    const std::span<const float> expected = slice_of(want, p),
                                 got = slice_of(model.parameters().gradients(), p);
    double largest = 0;
    for (float g : expected) largest = std::max(largest, std::abs(static_cast<double>(g)));
    check_close("gradient of " + p.name, got, expected, {kGradientOfLargest * largest, 0});
  }
}

TEST_CASE("gpt2: logits, loss and all gradients equal PyTorch's, on every instruction set") {
  for_each_isa([] {
    for (const GoldenSet& golden : golden_sets()) {
      INFO(golden.state);
      GPT2 model = load_model(golden.model);
      DebugState state(golden.state, model.config());
      const std::int64_t V = model.config().vocab_size, Vp = model.config().padded_vocab_size();

      Tape inference(Recording::off);
      const Tensor logits = model.logits(inference, state.inputs());
      std::vector<float> got;
      for (std::int64_t bt = 0; bt < state.B * state.T; ++bt)
        got.insert(got.end(), logits.f32() + bt * Vp, logits.f32() + bt * Vp + V);
      check_close("logits", got, state.logits, kLogits);

      Tape tape;
      const Tensor loss = model.loss(tape, state.inputs(), state.targets());
      CHECK(std::abs(loss.item() - state.loss) < kLoss);
      tape.backward(loss);
      check_gradients(model, state.gradients);
    }
  });
}

TEST_CASE("gpt2: two micro-batches with half the loss each add up to the gradients of the whole loss") {
  const GoldenSet golden = golden_sets().front();
  GPT2 model = load_model(golden.model);
  DebugState state(golden.state, model.config());
  Tape tape;
  const Tensor targets = state.targets();
  const std::int64_t counted =
      count_targets("test", targets.i32(), targets.numel(), model.config().vocab_size);
  double loss = 0;
  for (const LeafGradient mode : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    tape.clear();
    const Tensor half = model.loss(tape, state.inputs(), targets, mode, 2 * counted);
    loss += static_cast<double>(half.item());
    tape.backward(half);
  }
  CHECK(std::abs(loss - static_cast<double>(state.loss)) < kLoss);
  check_gradients(model, state.gradients);
}

json trajectory_of(const GoldenSet& golden) {
  return json::parse(std::ifstream(golden.trajectory));
}

// Repeats the steps of a recorded run and checks the loss and the gradient norm of each step. Returns the
// number of steps that were clipped.
int follow(GPT2& model, DebugState& state, const json& run) {
  const json& hyper = run["hyper"];
  AdamW optimizer(segments_of(model.parameters().table()),
                  AdamWSettings{.beta1 = hyper["betas"][0],
                                .beta2 = hyper["betas"][1],
                                .eps = hyper["eps"],
                                .weight_decay = hyper["weight_decay"]});
  Tape tape;
  std::int64_t step = 0;
  int clipped = 0;
  const MicroBatch batch{state.inputs(), state.targets()};
  for (const json& want : run["trajectory"]) {
    const StepResult result =
        training_step(model, optimizer, tape, std::span(&batch, 1),
                      {.step = ++step, .lr = hyper["lr"], .max_norm = hyper["grad_clip"]});
    CHECK(std::abs(result.loss - want["loss"].get<double>()) < kTrajectoryLoss);
    CHECK(result.grad_norm == approx(want["grad_norm"].get<double>()).epsilon(kTrajectoryNorm));
    clipped += clip_factor(result.grad_norm, hyper["grad_clip"]) < 1 ? 1 : 0;
  }
  return clipped;
}

TEST_CASE("gpt2: ten AdamW steps have PyTorch's losses, gradient norms and weights") {
  for (const GoldenSet& golden : golden_sets()) {
    if (golden.trajectory.empty()) continue;
    INFO(golden.trajectory);
    GPT2 model = load_model(golden.model);
    DebugState state(golden.state, model.config());
    follow(model, state, trajectory_of(golden));
    GPT2 after = load_model(golden.after10);
    for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
      // The bias of the keys adds the same number to all scores of a row, which does not change the softmax.
      // So its gradient is only rounding noise, which AdamW turns into steps of full size.
      if (t == kQkvb) continue;
      check_close(model.parameters().table()[t].name, model.parameters().values_of(t),
                  after.parameters().values_of(t), {kWeightAfterTen, 0});
    }
  }
}

TEST_CASE("gpt2: ten steps of which five are clipped have PyTorch's losses and gradient norms") {
  const GoldenSet golden = golden_sets().front();
  GPT2 model = load_model(golden.model);
  DebugState state(golden.state, model.config());
  CHECK(follow(model, state, trajectory_of(golden)["some_clipped"]) == 5);
}

TEST_CASE("gpt2: a checkpoint in bf16 has the loss that PyTorch computes from the rounded weights") {
  const GoldenSet golden = golden_sets().front();
  GPT2 model = load_model("tests/goldens/small_bf16.bin");
  DebugState state(golden.state, model.config());
  Tape tape(Recording::off);
  const double want = trajectory_of(golden)["small_bf16_loss"];
  CHECK(std::abs(model.loss(tape, state.inputs(), state.targets()).item() - want) < kLoss);
}

TEST_CASE("gpt2: training gives the same bytes on 1, 2, 3 and 4 threads") {
  const GoldenSet golden = golden_sets().front();
  const RestoreThreads restore;
  std::vector<std::vector<float>> results;
  for (int count : {1, 2, 3, 4}) {
    set_threads(count);
    GPT2 model = load_model(golden.model);
    DebugState state(golden.state, model.config());
    AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
    Tape tape;
    const MicroBatch batch{state.inputs(), state.targets()};
    for (std::int64_t step = 1; step <= 20; ++step) {
      training_step(model, optimizer, tape, std::span(&batch, 1), {.step = step, .lr = 1e-3f});
    }
    results.emplace_back(model.parameters().values().begin(), model.parameters().values().end());
  }
  for (const auto& result : results)
    CHECK(std::memcmp(result.data(), results[0].data(), result.size() * sizeof(float)) == 0);
}

TEST_CASE("gpt2: a later token changes no bit of an earlier position's logits") {
  GPT2 model = load_model(golden_sets().front().model);
  const std::int64_t T = model.config().max_seq_len, Vp = model.config().padded_vocab_size();
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < T; ++t)
    ids.push_back(static_cast<std::int32_t>((t * 37) % model.config().vocab_size));
  Tape a(Recording::off), b(Recording::off);
  const Tensor before = model.logits(a, Tensor(ids.data(), {1, T}));
  const std::int64_t changed = T / 2;
  for (std::int64_t t = changed; t < T; ++t)
    ids[static_cast<std::size_t>(t)] = static_cast<std::int32_t>((t * 11 + 5) % model.config().vocab_size);
  const Tensor after = model.logits(b, Tensor(ids.data(), {1, T}));
  CHECK(std::memcmp(before.f32(), after.f32(), static_cast<std::size_t>(changed * Vp) * 4) == 0);
  CHECK(std::memcmp(before.f32() + changed * Vp, after.f32() + changed * Vp,
                    static_cast<std::size_t>(Vp) * 4) != 0);
}

}  // namespace
}  // namespace inkling
