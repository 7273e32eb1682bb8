// Compares the model with a second GPT-2 in double (tests/nn/naive_gpt2.h), on every instruction set: logits,
// losses, all gradients, masked targets, and every position that a KV cache decodes.
#include "tests/nn/naive_gpt2.h"

#include "nn/gpt2.h"
#include "ops/cross_entropy.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Two layers of float sums with at most 32 terms each.
constexpr Tolerance kFloat{5e-6, 5e-6};
// For gradients: the sums are longer, and the finite differences have an error of about 1e-9.
constexpr Tolerance kGradient{5e-6, 5e-5};
// For bf16 and int8: both factors of a product have only 8 bits.
constexpr Tolerance kBf16{0.06, 0.05};

constexpr std::int64_t kB = 2, kT = 5;
const GPT2Config kConfig{.max_seq_len = 6, .vocab_size = 11, .layers = 2, .heads = 2, .channels = 8};

// A model whose weights are all large enough to change the logits, also norms and biases. The rows of wte
// past V are zero.
GPT2 model_of(const GPT2Config& config) {
  GPT2 model(config);
  model.initialise(5);
  const std::vector<float> noise = random_floats(model.parameters().count(), 8, 0.2);
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const Parameter& p = model.parameters().table()[t];
    std::span<float> values = model.parameters().values_of(t);
    if (t == kWte) values = values.first(static_cast<std::size_t>(config.vocab_size * config.channels));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] += noise[static_cast<std::size_t>(p.offset) + i];
  }
  return model;
}

struct Batch {
  std::vector<std::int32_t> ids{3, 0, 10, 3, 7, 1, 1, 9, 2, 10}, targets{0, 10, -1, 7, 2, 1, -1, 2, 10, -1};
  std::int64_t counted = 7;
  Tensor x() { return Tensor(ids.data(), {kB, kT}); }
  Tensor y() { return Tensor(targets.data(), {kB, kT}); }
};

std::vector<double> token_losses(const std::vector<double>& weights, const Batch& batch) {
  const NaiveGPT2 naive(kConfig);
  std::vector<double> all;
  for (std::size_t b = 0; b < kB; ++b) {
    const auto row = naive.token_losses(weights, std::span(batch.ids).subspan(b * kT, kT),
                                        std::span(batch.targets).subspan(b * kT, kT));
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

double mean_loss(const std::vector<double>& weights, const Batch& batch) {
  double sum = 0;
  for (double loss : token_losses(weights, batch)) sum += loss;
  return sum / static_cast<double>(batch.counted);
}

std::vector<double> gradients_by_differences(std::vector<double> weights, const Batch& batch) {
  constexpr double kStep = 1e-5;
  std::vector<double> gradients;
  for (double& w : weights) {
    const double before = w;
    w = before + kStep;
    const double above = mean_loss(weights, batch);
    w = before - kStep;
    const double below = mean_loss(weights, batch);
    w = before;
    gradients.push_back((above - below) / (2 * kStep));
  }
  return gradients;
}

TEST_CASE("gpt2: logits equal plain loops in double, on every instruction set and in every precision") {
  GPT2 model = model_of(kConfig);
  Batch batch;
  const std::vector<double> weights = as_doubles(model.parameters().values());
  for_each_isa([&] {
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      INFO("precision " << name(precision));
      model.set_precision(precision, Recording::off);
      Tape tape(Recording::off);
      const Tensor got = model.logits(tape, batch.x());
      REQUIRE(got.shape() == Shape{kB, kT, 128});
      for (std::int64_t bt = 0; bt < kB * kT; ++bt) {
        const auto row = static_cast<std::size_t>(bt / kT * kT);
        const auto want = NaiveGPT2(kConfig).logits(weights, std::span(batch.ids).subspan(row, kT));
        const std::size_t V = 11, t = static_cast<std::size_t>(bt % kT);
        check_close("logits", std::span<const float>(got.f32() + bt * 128, V),
                    std::span<const double>(want).subspan(t * V, V),
                    precision == Precision::f32 ? kFloat : kBf16);
      }
    }
  });
}

TEST_CASE("gpt2: loss, token losses and all gradients equal plain loops in double, with and without mask") {
  GPT2 model = model_of(kConfig);
  Batch masked, whole;
  whole.targets = {0, 10, 4, 7, 2, 1, 0, 2, 10, 6}, whole.counted = 10;
  const std::vector<double> weights = as_doubles(model.parameters().values());
  for (Batch* batch : {&masked, &whole}) {
    const std::vector<double> want = gradients_by_differences(weights, *batch);
    for_each_isa([&] {
      Tape tape;
      const Tensor loss = model.loss(tape, batch->x(), batch->y());
      CHECK(loss.item() == approx(mean_loss(weights, *batch)).epsilon(1e-6));
      tape.backward(loss);
      for (const Parameter& p : model.parameters().table()) {
        const auto begin = static_cast<std::size_t>(p.offset),
                   count = static_cast<std::size_t>(p.shape.numel());
        check_close("gradient of " + p.name,
                    std::span<const float>(model.parameters().gradients()).subspan(begin, count),
                    std::span(want).subspan(begin, count), kGradient);
      }
      Tape inference(Recording::off);
      std::vector<float> losses(kB * kT, NAN);
      model.token_losses(inference, batch->x(), batch->y(), losses.data());
      check_close("token losses", losses, token_losses(weights, *batch), kFloat);
    });
  }
}

TEST_CASE("gpt2: a larger target count divides loss and gradients, and accumulation adds the gradients") {
  GPT2 model = model_of(kConfig);
  Batch batch;
  const std::vector<double> weights = as_doubles(model.parameters().values());
  std::vector<double> want = gradients_by_differences(weights, batch);
  for (double& g : want) g *= 0.25 + 0.5;
  for (const bool recompute : {false, true}) {
    model.set_recompute(recompute);
    for (float& g : model.parameters().gradients()) g = 77;  // LeafGradient::overwrite must replace it
    Tape tape;
    const Tensor targets = batch.y();
    const std::int64_t counted = count_targets("test", targets.i32(), targets.numel(), kConfig.vocab_size);
    // Divides the sum of losses by four times the number of targets, then by twice this number.
    for (const std::int64_t parts : {4, 2}) {
      tape.clear();
      const Tensor loss =
          model.loss(tape, batch.x(), targets,
                     parts == 4 ? LeafGradient::overwrite : LeafGradient::accumulate, parts * counted);
      CHECK(loss.item() == approx(mean_loss(weights, batch) / static_cast<double>(parts)).epsilon(1e-6));
      tape.backward(loss);
    }
    check_close("gradients", std::span<const float>(model.parameters().gradients()),
                std::span<const double>(want), kGradient);
  }
}

TEST_CASE("gpt2: with a KV cache the logits of every position equal plain loops in double") {
  GPT2 model = model_of(kConfig);
  const std::vector<double> weights = as_doubles(model.parameters().values());
  const std::vector<std::vector<std::int32_t>> texts = {
      {3, 0, 10, 3, 7, 5}, {1, 1, 9, 2, 10, 0}, {8, 4, 4, 6, 2, 3}};
  for_each_isa([&] {
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      INFO("precision " << name(precision));
      model.set_precision(precision, Recording::off);
      for (std::size_t together = 1; together <= texts.size(); ++together) {
        std::vector<KvCache> caches;
        for (std::size_t b = 0; b < together; ++b) caches.emplace_back(kConfig);
        Tape tape(Recording::off);
        for (std::size_t t = 0; t < 6; ++t) {
          tape.clear();
          std::vector<std::int32_t> ids;
          for (std::size_t b = 0; b < together; ++b) ids.push_back(texts[b][t]);
          const auto B = static_cast<std::int64_t>(together);
          const Tensor got = model.next_logits(tape, Tensor(ids.data(), {B, 1}), caches);
          REQUIRE(got.shape() == Shape{B, 128});
          for (std::size_t b = 0; b < together; ++b) {
            CHECK(caches[b].length() == static_cast<std::int64_t>(t) + 1);
            const auto want = NaiveGPT2(kConfig).logits(weights, std::span(texts[b]).first(t + 1));
            check_close("logits", std::span<const float>(got.f32() + 128 * b, 11),
                        std::span<const double>(want).last(11), precision == Precision::f32 ? kFloat : kBf16);
          }
        }
        std::vector<std::int32_t> one_more(together, 1);
        CHECK_THROWS_WITH(
            model.next_logits(tape, Tensor(one_more.data(), {static_cast<std::int64_t>(together), 1}),
                              caches),
            contains("T=7 positions, expected at most maxT=6"));
      }
    }
  });
}

}  // namespace
}  // namespace inkling
