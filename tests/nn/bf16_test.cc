// GPT-2 in bf16, on every instruction set. The results are close to f32 after one step and after 200 steps.
// They are the same on any number of threads, with and without recomputation.
#include <algorithm>

#include "apps/run/training_step.h"
#include "apps/text/shard.h"
#include "core/parallel.h"
#include "optim/adamw.h"
#include "tests/nn/golden.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A bf16 rounding changes a number by at most 2^-8 of it. Two layers have only a few roundings, and the loss
// of a fresh model is about log V, so the loss changes by much less than that.
constexpr double kLossTolerance = 2e-3;
// Gradients go through more roundings. The test compares the norm of the difference of all gradients with the
// norm of all gradients, in which single rounding errors partly cancel.
constexpr double kGradientTolerance = 0.02;

constexpr std::int64_t kB = 2, kT = 21;
// No size is a multiple of a tile: C = 72, 3C = 216, 4C = 288.
const GPT2Config kConfig{.max_seq_len = 24, .vocab_size = 150, .layers = 2, .heads = 3, .channels = 72};

struct Run {
  double loss = 0;
  std::vector<float> gradients, weights;  // weights after the last step
};

Run train(Precision precision, bool recompute, int steps) {
  GPT2 model(kConfig);
  model.initialise(3);
  model.set_precision(precision, Recording::on);
  model.set_recompute(recompute);
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  Tape tape;
  std::vector<std::int32_t> ids(kB * kT), targets(kB * kT);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i * 7 % 150);
    targets[i] = i % 5 == 0 ? -1 : static_cast<std::int32_t>(i * 11 % 150);
  }
  const std::vector<MicroBatch> batches(2, {Tensor(ids.data(), {kB, kT}), Tensor(targets.data(), {kB, kT})});
  Run run;
  for (int step = 1; step <= steps; ++step)
    run.loss = training_step(model, optimizer, tape, batches, {.step = step, .lr = 1e-3f}).loss;
  const auto gradients = model.parameters().gradients();
  run.gradients.assign(gradients.begin(), gradients.end());
  const auto weights = model.parameters().values();
  run.weights.assign(weights.begin(), weights.end());
  return run;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double square = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    square += d * d;
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(square / size);
}

TEST_CASE("gpt2 in bf16: loss and gradients equal f32's up to rounding, on every instruction set") {
  const Run f32 = train(Precision::f32, false, 1);
  for_each_isa([&] {
    const Run bf16 = train(Precision::bf16, false, 1);
    CHECK(std::abs(bf16.loss - f32.loss) < kLossTolerance);
    CHECK(bf16.loss != f32.loss);
    CHECK(distance(bf16.gradients, f32.gradients) < kGradientTolerance);
  });
}

TEST_CASE("gpt2: recomputation and the number of threads change no bit, in f32 and in bf16") {
  const RestoreThreads restore;
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    INFO("precision " << name(precision));
    for_each_isa([&] {
      set_threads(1);
      const Run kept = train(precision, false, 3);
      for (int count : {1, 2, 4}) {
        set_threads(count);
        for (const bool recompute : {false, true}) {
          const Run again = train(precision, recompute, 3);
          CHECK(again.loss == kept.loss);
          CHECK(again.gradients == kept.gradients);
          CHECK(again.weights == kept.weights);
        }
      }
    });
  }
}

// ---- A curve of 200 steps ----

// The limit for the relative difference of the losses. The measured difference is 0.01%.
constexpr double kCurveTolerance = 0.01;

constexpr int kCurveSteps = 200, kCurveEnd = 10;

// Trains for kCurveSteps steps and returns the mean loss of the last kCurveEnd steps.
double end_of_curve(Precision precision) {
  constexpr std::int64_t B = 2, T = 32;
  const Shard shard("tests/goldens/curve_tokens.bin");
  GPT2 model({.max_seq_len = T, .vocab_size = 131, .layers = 2, .heads = 4, .channels = 32});
  model.initialise(1);
  model.set_precision(precision, Recording::on);
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  Tape tape;
  std::vector<std::int32_t> tokens(B * T + 1);
  const std::int64_t samples = (shard.size() - 1) / (B * T);
  double nats = 0;
  for (int step = 1; step <= kCurveSteps; ++step) {
    shard.copy(step % samples * B * T, B * T + 1, tokens.data());
    const MicroBatch batch{Tensor(tokens.data(), {B, T}), Tensor(tokens.data() + 1, {B, T})};
    const StepResult result = training_step(model, optimizer, tape, std::span(&batch, 1),
                                            {.step = step, .lr = 3e-3f, .max_norm = 1});
    if (step > kCurveSteps - kCurveEnd) nats += result.loss / kCurveEnd;
  }
  return nats;
}

TEST_CASE("gpt2 in bf16: after 200 steps the loss is within 1% of f32's") {
  const double f32 = end_of_curve(Precision::f32);
  CHECK(f32 < 3);  // the loss starts at log 131 = 4.9, so the model has learnt
  const double bf16 = end_of_curve(Precision::bf16);
  INFO("f32 ends at " << f32 << ", bf16 at " << bf16);
  CHECK(std::abs(bf16 / f32 - 1) < kCurveTolerance);
}

TEST_CASE("gpt2 in bf16: the packed weights follow every update of the optimiser") {
  // `model` gets trained weights chunk by chunk through weights_changed(). It must compute the same logits as
  // `fresh`, which packs the same weights all at once.
  GPT2 fresh(kConfig);
  const Run trained = train(Precision::bf16, false, 3);
  std::copy(trained.weights.begin(), trained.weights.end(), fresh.parameters().values().begin());
  fresh.set_precision(Precision::bf16, Recording::off);

  GPT2 model(kConfig);
  model.initialise(3);
  model.set_precision(Precision::bf16, Recording::on);
  const auto values = model.parameters().values();
  for (const SegmentChunk& chunk : cut_segments(segments_of(model.parameters().table()))) {
    std::copy_n(trained.weights.begin() + chunk.offset, chunk.count, values.begin() + chunk.offset);
    model.weights_changed(chunk.offset, chunk.count);
  }
  std::vector<std::int32_t> ids(kB * kT, 5);
  Tape a(Recording::off), b(Recording::off);
  const Tensor x = fresh.logits(a, Tensor(ids.data(), {kB, kT})),
               y = model.logits(b, Tensor(ids.data(), {kB, kT}));
  CHECK(std::equal(x.f32(), x.f32() + x.numel(), y.f32()));

  // After a step of the optimiser, too, the model must compute the same logits as a model that packs the new
  // weights all at once.
  const std::vector<float> gradients = random_floats(model.parameters().count(), 9);
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  optimizer.step(values.data(), gradients.data(), 1, 0.1f, 1.0f,
                 [&](std::int64_t offset, std::int64_t count) { model.weights_changed(offset, count); });
  std::copy(values.begin(), values.end(), fresh.parameters().values().begin());
  fresh.set_precision(Precision::bf16, Recording::off);
  a.clear();
  b.clear();
  const Tensor x_after = fresh.logits(a, Tensor(ids.data(), {kB, kT})),
               y_after = model.logits(b, Tensor(ids.data(), {kB, kT}));
  CHECK(std::equal(x_after.f32(), x_after.f32() + x_after.numel(), y_after.f32()));
}

}  // namespace
}  // namespace inkling
