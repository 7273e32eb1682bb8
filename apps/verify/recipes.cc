#include "apps/verify/recipes.h"

#include <xxhash.h>

#include <array>
#include <cstdio>
#include <memory>
#include <type_traits>
#include <vector>

#include "apps/run/training_step.h"
#include "core/rng.h"
#include "nn/generate.h"

namespace inkling {

namespace {

// Most sizes are not multiples of the size of a register, a tile or a panel.
const Recipe kRecipes[] = {
    // about the model of `make train`
    {.name = "stories", .model = {128, 576, 2, 4, 128}, .B = 8, .T = 128, .steps = 4},
    {.name = "tails", .model = {40, 150, 2, 3, 60}, .B = 2, .T = 37, .steps = 20},
    // rows that are shorter than a register
    {.name = "narrow", .model = {20, 71, 2, 1, 7}, .B = 3, .T = 19, .steps = 20},
    // sequences of several tiles of queries
    {.name = "long", .model = {300, 70, 1, 2, 38}, .B = 1, .T = 300, .steps = 3},
    // sums of products that are longer than a block of k
    {.name = "wide", .model = {24, 90, 1, 5, 205}, .B = 2, .T = 23, .steps = 6},
    // rows of logits that are longer than a block of cross-entropy
    {.name = "vocabulary", .model = {33, 5003, 1, 2, 26}, .B = 2, .T = 33, .steps = 4},
    // so few rows that products stream the weights
    {.name = "few_rows", .model = {16, 60, 2, 2, 20}, .B = 1, .T = 13, .steps = 25},
    {.name = "linear",
     .model = {30, 99, 1, 3, 33},
     .B = 3,
     .T = 29,
     .steps = 15,
     .schedule = LearningRateDecay::linear},
    {.name = "wsd",
     .model = {30, 99, 2, 1, 33},
     .B = 3,
     .T = 21,
     .steps = 15,
     .schedule = LearningRateDecay::wsd},
    {.name = "sgd",
     .model = {30, 99, 2, 2, 50},
     .B = 4,
     .T = 30,
     .steps = 15,
     .schedule = LearningRateDecay::constant,
     .optimizer = SgdSettings{.momentum = 0.9, .weight_decay = 0.01}},
    {.name = "loss_mask", .model = {40, 120, 1, 4, 44}, .B = 3, .T = 40, .steps = 12, .loss_mask = true},
    {.name = "documents", .model = {70, 120, 2, 2, 36}, .B = 2, .T = 70, .steps = 10, .documents = true},
    {.name = "accumulation",
     .model = {40, 120, 3, 2, 42},
     .B = 2,
     .T = 33,
     .steps = 8,
     .micro_batches = 3,
     .loss_mask = true,
     .recompute = true},
    {.name = "sampler",
     .model = {40, 80, 1, 2, 30},
     .B = 2,
     .T = 40,
     .steps = 6,
     .sampler = {.temperature = 1.3f, .top_k = 40, .min_p = 0.02f, .repetition_penalty = 1.2f}},
    {.name = "greedy", .model = {40, 80, 1, 2, 30}, .B = 2, .T = 40, .steps = 6, .sampler = {.temperature = 0}},
    {.name = "bf16",
     .model = {70, 150, 2, 3, 60},
     .B = 3,
     .T = 67,
     .steps = 12,
     .precision = Precision::bf16},
    {.name = "bf16_accumulation",
     .model = {40, 1003, 2, 2, 44},
     .B = 2,
     .T = 37,
     .steps = 8,
     .micro_batches = 2,
     .documents = true,
     .recompute = true,
     .precision = Precision::bf16},
};

constexpr std::uint64_t kSeed = 17;
constexpr std::uint64_t kHeldOut = std::uint64_t{1} << 32, kTexts = std::uint64_t{1} << 33;  // streams

// A micro-batch of random token ids with a pattern that can be learned: in three of four cases, the next id
// follows from the id before it.
struct Batch {
  std::vector<std::int32_t> ids, targets, positions;

  Batch(const Recipe& recipe, std::uint64_t stream) {
    Rng rng(kSeed, stream);
    const std::int64_t V = recipe.model.vocab_size;
    const auto random_id = [&] {
      return static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(V)));
    };
    for (std::int64_t b = 0; b < recipe.B; ++b) {
      std::int32_t id = random_id(), position = 0;
      for (std::int64_t t = 0; t < recipe.T; ++t) {
        const auto next = rng.below(4) == 0 ? random_id() : static_cast<std::int32_t>((5 * id + 3) % V);
        const bool counts = !recipe.loss_mask || rng.below(3) != 0;
        ids.push_back(id), targets.push_back(counts ? next : -1), positions.push_back(position);
        position = recipe.documents && rng.below(13) == 0 ? 0 : position + 1;
        id = next;
      }
    }
  }
  MicroBatch view(const Recipe& recipe) {
    const Shape shape{recipe.B, recipe.T};
    const auto tensor = [&](std::vector<std::int32_t>& v) { return Tensor(v.data(), shape); };
    return {tensor(ids), tensor(targets), recipe.documents ? tensor(positions) : Tensor{}};
  }
};

// All numbers that a recipe's hash covers.
class Results {
 public:
  void add(std::span<const float> values) { add_bytes(values.data(), values.size_bytes()); }
  template <class T>
  requires std::is_arithmetic_v<T>
  void add(T value) { add_bytes(&value, sizeof(value)); }
  std::string hash() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(XXH3_64bits(bytes_.data(), bytes_.size())));
    return digits;
  }

 private:
  void add_bytes(const void* values, std::size_t count) {
    const auto* bytes = static_cast<const char*>(values);
    bytes_.insert(bytes_.end(), bytes, bytes + count);
  }

  std::vector<char> bytes_;
};

std::unique_ptr<Optimizer> make_optimizer(const Recipe& recipe, const Parameters& parameters) {
  const std::vector<ParameterSegment> segments = segments_of(parameters.table());
  if (const auto* sgd = std::get_if<SgdSettings>(&recipe.optimizer))
    return std::make_unique<Sgd>(segments, *sgd);
  return std::make_unique<AdamW>(segments, std::get<AdamWSettings>(recipe.optimizer));
}

void train(GPT2& model, const Recipe& recipe, Results& results) {
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(recipe, model.parameters());
  const LearningRateSchedule schedule{.decay = recipe.schedule,
                                      .lr = 4e-3,
                                      .min_lr = 3e-4,
                                      .warmup_steps = recipe.steps / 5,
                                      .steps = recipe.steps};
  Tape tape;
  for (std::int64_t step = 0; step < recipe.steps; ++step) {
    std::vector<Batch> batches;
    std::vector<MicroBatch> views;
    for (std::int64_t i = 0; i < recipe.micro_batches; ++i)
      batches.emplace_back(recipe, static_cast<std::uint64_t>(step * recipe.micro_batches + i));
    for (Batch& batch : batches) views.push_back(batch.view(recipe));
    const StepResult result =
        training_step(model, *optimizer, tape, views,
                      {.step = step + 1, .lr = learning_rate(schedule, step), .max_norm = 1.0});
    results.add(result.loss), results.add(result.grad_norm);
  }
  results.add(model.parameters().values());
}

void validate(GPT2& model, const Recipe& recipe, Results& results) {
  Tape tape(Recording::off);
  Batch batch(recipe, kHeldOut);
  const auto [ids, targets, positions] = batch.view(recipe);
  std::vector<float> losses(batch.ids.size());
  model.token_losses(tape, ids, targets, losses.data(), positions);
  double total = 0;
  for (const float loss : losses) total += static_cast<double>(loss);
  results.add(total);
}

// Generates two texts together. They are longer than the context of most recipes, so the model reads a
// prompt, then single tokens, and then a new context.
void write_texts(GPT2& model, const Recipe& recipe, Results& results) {
  const std::int32_t prompt[] = {3, 18, 1, 8, 43};
  const GenerateSettings settings{.max_tokens = recipe.T, .sampler = recipe.sampler};
  std::array<Rng, 2> rngs{Rng(kSeed, kTexts), Rng(kSeed, kTexts + 1)};
  generate(model, prompt, settings, rngs, [&](std::int64_t text, std::int32_t id) {
    results.add(text), results.add(id);
    return true;
  });
}

}  // namespace

std::span<const Recipe> recipes() {
  return kRecipes;
}

std::string run_recipe(const Recipe& recipe) {
  GPT2 model(recipe.model);
  model.initialise(kSeed);
  model.set_precision(recipe.precision, Recording::on);
  model.set_recompute(recipe.recompute);
  Results results;
  train(model, recipe, results);
  validate(model, recipe, results);
  write_texts(model, recipe, results);
  return results.hash();
}

const char* arithmetic(Isa isa, Precision precision) {
  if (precision == Precision::bf16 && isa == Isa::amx) return "amx";
  return fuses_multiply_add(isa) ? "fused" : "unfused";
}

}  // namespace inkling
