// Weight matrices of 8 bits: a trained model predicts equally well with them.
#include <algorithm>
#include <cmath>

#include "apps/run/training_step.h"
#include "apps/text/stories.h"
#include "optim/adamw.h"
#include "tests/nn/golden.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The limit for the relative difference of the perplexities. Rounding changes a weight by at most 1/254 of
// the largest weight in its row. The measured difference is 0.03%.
constexpr double kPerplexityTolerance = 0.01;

constexpr std::int64_t kB = 8, kT = 64;

// Rows of story tokens, inputs and targets (B,T). Each row begins with the beginning of a story.
struct Batch {
  std::vector<std::int32_t> inputs, targets;

  explicit Batch(Rng& rng) {
    for (std::int64_t b = 0; b < kB; ++b) {
      std::vector<std::int32_t> row;
      while (std::ssize(row) <= kT) {
        const Story story = write_story(rng);
        row.insert(row.end(), story.tokens.begin(), story.tokens.end());
      }
      inputs.insert(inputs.end(), row.begin(), row.begin() + kT);
      targets.insert(targets.end(), row.begin() + 1, row.begin() + kT + 1);
    }
  }
  Tensor x() { return Tensor(inputs.data(), {kB, kT}); }
  Tensor y() { return Tensor(targets.data(), {kB, kT}); }
};

void train(GPT2& model, int steps) {
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  Tape tape;
  Rng rng(1);
  for (int step = 1; step <= steps; ++step) {
    Batch batch(rng);
    const MicroBatch rows{batch.x(), batch.y()};
    training_step(model, optimizer, tape, std::span(&rows, 1), {.step = step, .lr = 3e-3f});
  }
}

double perplexity(GPT2& model) {
  Tape tape(Recording::off);
  Rng rng(2);  // stories that are not in the training data
  double nats = 0;
  constexpr int kBatches = 8;
  for (int i = 0; i < kBatches; ++i) {
    Batch batch(rng);
    tape.clear();
    nats += static_cast<double>(model.loss(tape, batch.x(), batch.y()).item()) / kBatches;
  }
  return std::exp(nats);
}

TEST_CASE("int8: the perplexity of a trained model is within 1% of its f32 perplexity, also in bf16") {
  GPT2 model({.max_seq_len = kT,
              .vocab_size = story_tokenizer().vocab_size(),
              .layers = 2,
              .heads = 2,
              .channels = 64});
  model.initialise(1);
  train(model, 150);
  const double f32 = perplexity(model);
  CHECK(f32 < 5);  // far below the 498 of a random guess, so the model has learnt most of the grammar
  for (const Precision precision : {Precision::int8, Precision::bf16}) {
    model.set_precision(precision, Recording::off);
    const double rounded = perplexity(model);
    INFO(name(precision) << ": perplexity " << rounded << ", f32 " << f32);
    CHECK(std::abs(rounded / f32 - 1) < kPerplexityTolerance);
  }
}

TEST_CASE("int8: if 8 bits hold the weights exactly, logits equal f32's on every instruction set") {
  constexpr Tolerance kSameSums{2e-5, 1e-5};  // the same sums in another order
  constexpr Tolerance kRoundedInputs{5e-4, 1e-4};
  GPT2 model = load_model("tests/goldens/small.bin");
  for (const GPT2Tensor t : {kWte, kQkvw, kAttprojw, kFcw, kFcprojw}) {
    const std::int64_t K = model.parameters().table()[t].shape.back();
    const std::span<float> weights = model.parameters().values_of(t);
    for (auto w = weights.begin(); w != weights.end(); w += K) {
      const auto larger = [](float a, float b) { return std::abs(a) < std::abs(b); };
      const float scale = std::abs(*std::max_element(w, w + K, larger)) / 127;
      for (std::int64_t k = 0; k < K && scale > 0; ++k) w[k] = scale * std::round(w[k] / scale);
    }
  }
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 20; ++i) ids.push_back(i * 29 % 130);
  for_each_isa([&] {
    Tape tape(Recording::off);
    model.set_precision(Precision::f32, Recording::off);
    const Tensor want = model.logits(tape, Tensor(ids.data(), {1, 20}));
    model.set_precision(Precision::int8, Recording::off);
    const Tensor got = model.logits(tape, Tensor(ids.data(), {1, 20}));
    const auto count = static_cast<std::size_t>(want.numel());
    check_close("logits", std::span<const float>(got.f32(), count), std::span<const float>(want.f32(), count),
                rounds_int8_inputs() ? kRoundedInputs : kSameSums);
  });
}

TEST_CASE("int8: training in int8 is an error") {
  GPT2 model = load_model("tests/goldens/small.bin");
  CHECK_THROWS_WITH(model.set_precision(Precision::int8, Recording::on),
                    contains("expected f32 or bf16 to train"));
}

TEST_CASE("int8: a weight that is not finite is an error, at each end of each matrix") {
  GPT2 model = load_model("tests/goldens/small.bin");
  for (const GPT2Tensor t : {kWte, kQkvw, kAttprojw, kFcw, kFcprojw}) {
    const Parameter& tensor = model.parameters().table()[t];
    const std::span<float> weights = model.parameters().values_of(t);
    const std::size_t layers = tensor.shape.rank == 3 ? 2 : 1, matrix = weights.size() / layers;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      const std::size_t first = layer * matrix, last = first + matrix - 1;
      for (const std::size_t at : {first, last}) {
        for (const float odd : {NAN, INFINITY, -INFINITY}) {
          INFO(tensor.name << "[" << at << "] is " << odd);
          const float good = std::exchange(weights[at], odd);
          CHECK_THROWS_WITH(model.set_precision(Precision::int8, Recording::off),
                            contains(str("int8: tensor ", tensor.name, " has weights")));
          weights[at] = good;
        }
      }
    }
  }
  CHECK_NOTHROW(model.set_precision(Precision::int8, Recording::off));
}

}  // namespace
}  // namespace inkling
