// The training step: its loss and gradient are means over the targets of all micro-batches; clipping and
// errors come before the update.
#include "apps/run/training_step.h"

#include <cmath>
#include <limits>

#include "optim/adamw.h"
#include "optim/sgd.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr GPT2Config kModel{.max_seq_len = 4, .vocab_size = 11, .layers = 1, .heads = 1, .channels = 8};

GPT2 tiny_model() {
  GPT2 model(kModel);
  model.initialise(5);
  return model;
}

std::vector<float> token_losses(GPT2& model, const MicroBatch& batch) {
  Tape tape(Recording::off);
  std::vector<float> losses(static_cast<std::size_t>(batch.ids.numel()));
  model.token_losses(tape, batch.ids, batch.targets, losses.data());
  return losses;
}

TEST_CASE("training step: loss and gradient are means over all counted targets, not means of means") {
  // One target in the first micro-batch, three in the second.
  std::vector<std::int32_t> ids{1, 2, 3, 4, 5, 6, 7, 8}, targets{2, -1, -1, -1, 6, 7, 8, -1};
  const std::vector<MicroBatch> batches{{Tensor(ids.data(), {1, 4}), Tensor(targets.data(), {1, 4})},
                                        {Tensor(ids.data() + 4, {1, 4}), Tensor(targets.data() + 4, {1, 4})}};
  GPT2 model = tiny_model();
  double sum = 0;
  for (const MicroBatch& batch : batches) {
    for (float loss : token_losses(model, batch)) sum += static_cast<double>(loss);
  }
  Sgd optimizer(segments_of(model.parameters().table()), {.momentum = 0, .weight_decay = 0});
  Tape tape;
  const StepResult result = training_step(model, optimizer, tape, batches, {.step = 1, .lr = 0});
  CHECK(result.loss == approx(sum / 4).epsilon(1e-6));

  // The gradient equals the gradient of one batch with both rows.
  const std::vector<float> split(model.parameters().gradients().begin(),
                                 model.parameters().gradients().end());
  const MicroBatch whole{Tensor(ids.data(), {2, 4}), Tensor(targets.data(), {2, 4})};
  training_step(model, optimizer, tape, std::span(&whole, 1), {.step = 2, .lr = 0});
  constexpr Tolerance kOtherOrder{1e-7, 1e-5};  // the sums have another order
  check_close("gradients", std::span<const float>(model.parameters().gradients()),
              std::span<const float>(split), kOtherOrder);
}

TEST_CASE("training step: clipping shortens the update, and max_norm 0 turns it off") {
  std::vector<std::int32_t> ids{1, 2, 3, 4}, targets{2, 3, 4, 5};
  const MicroBatch batch{Tensor(ids.data(), {1, 4}), Tensor(targets.data(), {1, 4})};
  for (const double max_norm : {0.0, 0.25, 1e9}) {
    INFO("max_norm " << max_norm);
    GPT2 model = tiny_model();
    const std::vector<double> before = as_doubles(model.parameters().values());
    Sgd optimizer(segments_of(model.parameters().table()), {.momentum = 0, .weight_decay = 0});
    Tape tape;
    const StepResult result = training_step(model, optimizer, tape, std::span(&batch, 1),
                                            {.step = 1, .lr = 1, .max_norm = max_norm});
    REQUIRE(result.grad_norm > 0.25);
    double moved = 0;
    const std::span<const float> after = model.parameters().values();
    for (std::size_t i = 0; i < after.size(); ++i)
      moved += std::pow(static_cast<double>(after[i]) - before[i], 2);
    const double expected = max_norm == 0.25 ? 0.25 : result.grad_norm;
    CHECK(std::sqrt(moved) == approx(expected).epsilon(1e-4));
  }
}

TEST_CASE("training step: a NaN loss stops the step before the update") {
  std::vector<std::int32_t> ids{1, 2, 3, 4}, targets{2, 3, 4, 5};
  const MicroBatch batch{Tensor(ids.data(), {1, 4}), Tensor(targets.data(), {1, 4})};
  GPT2 model = tiny_model();
  AdamW optimizer(segments_of(model.parameters().table()), {});
  Tape tape;
  model.parameters().values_of(kLnfb)[0] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> before(model.parameters().values().begin(), model.parameters().values().end());
  CHECK_THROWS_AS(training_step(model, optimizer, tape, std::span(&batch, 1), {.step = 7, .lr = 1}),
                  Diverged);
  CHECK_THROWS_WITH(training_step(model, optimizer, tape, std::span(&batch, 1), {.step = 7, .lr = 1}),
                    contains("the loss is") && contains("at step 7"));
  CHECK(std::memcmp(before.data(), model.parameters().values().data(), before.size() * sizeof(float)) == 0);
}

TEST_CASE("training step: without a counted target nothing changes, and the result is 0, not NaN") {
  std::vector<std::int32_t> ids{1, 2, 3, 4}, targets(4, -1);
  const MicroBatch batch{Tensor(ids.data(), {1, 4}), Tensor(targets.data(), {1, 4})};
  GPT2 model = tiny_model();
  const std::vector<float> before(model.parameters().values().begin(), model.parameters().values().end());
  AdamW optimizer(segments_of(model.parameters().table()), {});
  Tape tape;
  const StepResult result =
      training_step(model, optimizer, tape, std::vector{batch, batch}, {.step = 1, .lr = 1, .max_norm = 1});
  CHECK(result.counted == 0);
  CHECK(result.loss == 0.0);
  CHECK(result.grad_norm == 0.0);
  CHECK(std::memcmp(before.data(), model.parameters().values().data(), before.size() * sizeof(float)) == 0);
}

// Takes a step with learning rate 0 and returns the gradients.
std::vector<float> gradients_of(const std::vector<MicroBatch>& batches, StepResult& result) {
  GPT2 model = tiny_model();
  Sgd optimizer(segments_of(model.parameters().table()), {.momentum = 0, .weight_decay = 0});
  Tape tape;
  result = training_step(model, optimizer, tape, batches, {.step = 1, .lr = 0});
  return std::vector<float>(model.parameters().gradients().begin(), model.parameters().gradients().end());
}

TEST_CASE("training step: a micro-batch without a counted target adds 0, at each place of the step") {
  std::vector<std::int32_t> ids{1, 2, 3, 4, 5, 6, 7, 8}, targets{2, -1, 4, -1, 6, 7, 8, 9}, none(4, -1);
  const auto row = [](std::int32_t* numbers) { return Tensor(numbers, {1, 4}); };
  const MicroBatch first{row(ids.data()), row(targets.data())},
      second{row(ids.data() + 4), row(targets.data() + 4)}, empty{row(ids.data()), row(none.data())};
  StepResult want, got;
  const std::vector<float> expected = gradients_of({first, second}, want);
  CHECK(want.counted == 6);
  for (const auto& batches : {std::vector{empty, first, second}, std::vector{first, empty, second},
                              std::vector{first, second, empty}}) {
    CHECK(gradients_of(batches, got) == expected);
    CHECK(got.loss == want.loss);
    CHECK(got.grad_norm == want.grad_norm);
    CHECK(got.counted == 6);
  }
}

TEST_CASE("training step: with a loss mask, four micro-batches give the gradient of one big batch") {
  constexpr std::int64_t kRows = 8, kT = 4;
  Rng rng(9);
  std::vector<std::int32_t> ids, targets;
  for (std::int64_t i = 0; i < kRows * kT; ++i) {
    ids.push_back(static_cast<std::int32_t>(rng.below(11)));
    // The rows count 0 to 3 targets each.
    targets.push_back(i % kT < i / kT % 4 ? static_cast<std::int32_t>(rng.below(11)) : -1);
  }
  const auto run = [&](std::int64_t micro_batches, StepResult& result) {
    const Shape shape{kRows / micro_batches, kT};
    std::vector<MicroBatch> batches;
    for (std::int64_t i = 0; i < micro_batches; ++i) {
      batches.push_back(
          {Tensor(ids.data() + i * shape.numel(), shape), Tensor(targets.data() + i * shape.numel(), shape)});
    }
    return gradients_of(batches, result);
  };
  StepResult big, accumulated;
  const std::vector<float> want = run(1, big), got = run(4, accumulated);
  CHECK(big.counted == 12);
  CHECK(accumulated.counted == 12);
  CHECK(accumulated.loss == approx(big.loss).epsilon(1e-6));
  constexpr Tolerance kOtherOrder{1e-6, 0};  // the sums have another order
  check_close("gradients", std::span<const float>(got), std::span<const float>(want), kOtherOrder);
}

TEST_CASE("training step: a step has at most 2^26 tokens") {
  CHECK_NOTHROW(check_step_tokens(1, 1 << 26));
  CHECK_THROWS_AS(check_step_tokens(1, (1 << 26) + 1), UsageError);
  CHECK_NOTHROW(check_step_tokens(1000, 67'108));
  CHECK_THROWS_WITH(
      check_step_tokens(1000, 67'109),
      contains("--grad-accum is 67109, expected at most 67108 with micro-batches of 1000 tokens"));
  CHECK_NOTHROW(check_step_tokens(1 << 26, 1));
  CHECK_THROWS_WITH(check_step_tokens((1 << 26) + 1, 1),
                    contains("--batch-size times --seq-len is 67108865 tokens, expected at most 67108864"));
}

}  // namespace
}  // namespace inkling
