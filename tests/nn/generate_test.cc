// Generation: the KV cache makes a token cheaper to compute, but does not change it.
#include "nn/generate.h"

#include <algorithm>

#include "nn/checkpoint.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr Tolerance kCached{2e-5, 1e-5};  // the same sums in another order
// In bf16 the full pass rounds activations that generation keeps in f32. This changes each activation by
// about 2^-9 of its size, in two layers.
constexpr Tolerance kCachedBf16{0.06, 0.02};
// The sums are rounded to 16 bits. If two sums differ in their last bit, they may be rounded to different
// numbers.
constexpr Tolerance kCachedInt8{5e-4, 1e-4};

Tolerance cached(Precision precision) {
  if (precision == Precision::bf16) return kCachedBf16;
  return precision == Precision::int8 && rounds_int8_inputs() ? kCachedInt8 : kCached;
}

TEST_CASE("generate: logits with the KV cache equal the full forward pass, for prompts read in any pieces") {
  const auto check = [](Precision precision) {
    INFO("precision " << name(precision));
    GPT2 model = load_model("tests/goldens/small.bin");
    model.set_precision(precision, Recording::off);
    const std::int64_t B = 2, T = 20, Vp = model.config().padded_vocab_size();
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < B * T; ++i)
      ids.push_back(static_cast<std::int32_t>((i * 29 + 3) % model.config().vocab_size));
    Tape full(Recording::off);
    const Tensor want = model.logits(full, Tensor(ids.data(), {B, T}));
    for (const std::vector<std::int64_t>& pieces :
         {std::vector<std::int64_t>{20}, {1, 1, 18}, {7, 1, 1, 1, 10}, {19, 1}}) {
      std::vector<KvCache> caches;
      for (std::int64_t b = 0; b < B; ++b) caches.emplace_back(model.config());
      for (std::int64_t piece : pieces) {
        std::vector<std::int32_t> part;
        for (std::int64_t b = 0; b < B; ++b) {
          for (std::int64_t t = 0; t < piece; ++t)
            part.push_back(ids[static_cast<std::size_t>(b * T + caches[0].length() + t)]);
        }
        Tape tape(Recording::off);
        const Tensor got = model.next_logits(tape, Tensor(part.data(), {B, piece}), caches);
        for (std::int64_t b = 0; b < B; ++b) {
          const auto V = static_cast<std::size_t>(model.config().vocab_size);
          check_close("logits", std::span<const float>(got.f32() + b * Vp, V),
                      std::span<const float>(want.f32() + (b * T + caches[0].length() - 1) * Vp, V),
                      cached(precision));
        }
      }
    }
  };
  for_each_isa([&] {
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) check(precision);
  });
}

TEST_CASE("generate: a seed always gives the same text, the stop token ends it, a full context does not") {
  GPT2 model = load_model("tests/goldens/small.bin");
  const std::vector<std::int32_t> prompt = {5, 6, 7};
  const auto text = [&](std::uint64_t seed, std::int64_t tokens, std::int32_t stop) {
    GenerateSettings settings;
    settings.max_tokens = tokens, settings.stop_token = stop;
    Rng rng(seed);
    std::vector<std::int32_t> ids;
    const std::int64_t made = generate(model, prompt, settings, rng, [&](std::int32_t id) {
      ids.push_back(id);
      return true;
    });
    CHECK(made == std::ssize(ids));
    return ids;
  };
  const auto one = text(1, 3 * model.config().max_seq_len, -1);
  CHECK(std::ssize(one) == 3 * model.config().max_seq_len);
  CHECK(text(1, 3 * model.config().max_seq_len, -1) == one);
  CHECK(text(2, 3 * model.config().max_seq_len, -1) != one);
  const auto stopped = text(1, 50, one[4]);
  CHECK(stopped == std::vector<std::int32_t>(one.begin(), std::find(one.begin(), one.end(), one[4])));
}

TEST_CASE("generate: texts generated together equal the texts generated alone, and each ends by itself") {
  constexpr std::int64_t kTexts = kTogether + 3;  // two groups
  const std::vector<std::int32_t> prompt = {5, 6, 7};
  for_each_isa([&] {
    GPT2 model = load_model("tests/goldens/small.bin");
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      INFO("precision " << name(precision));
      model.set_precision(precision, Recording::off);
      GenerateSettings settings;
      settings.max_tokens = model.config().max_seq_len + 9;  // past a full context
      settings.stop_token = 17;                              // some texts draw it soon, others late or never
      settings.sampler.repetition_penalty = 1.3f, settings.sampler.min_p = 0.01f;
      std::vector<std::vector<std::int32_t>> together(kTexts), alone(kTexts);
      std::vector<Rng> rngs;
      for (std::uint64_t i = 0; i < kTexts; ++i) rngs.emplace_back(1, i);
      const std::int64_t made =
          generate(model, prompt, settings, rngs, [&](std::int64_t text, std::int32_t id) {
            together[static_cast<std::size_t>(text)].push_back(id);
            return text != 2 || together[2].size() < 5;  // the caller stops text 2 after 5 tokens
          });
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < kTexts; ++i) {
        Rng rng(1, i);
        sum += generate(model, prompt, settings, rng, [&](std::int32_t id) {
          alone[i].push_back(id);
          return i != 2 || alone[i].size() < 5;
        });
        CHECK(together[i] == alone[i]);
      }
      CHECK(made == sum);
      CHECK(together[2].size() == 5);
    }
  });
}

TEST_CASE(
    "generate: log-probabilities come from the model's softmax over all logits, whatever the sampler "
    "does") {
  GPT2 model = load_model("tests/goldens/small.bin");
  const std::vector<std::int32_t> prompt = {5, 6, 7};
  GenerateSettings settings;
  settings.max_tokens = 10, settings.log_probabilities = true;
  settings.sampler = {.temperature = 0.5f, .top_k = 20, .repetition_penalty = 1.5f};
  std::vector<Rng> rngs(1, Rng(3));
  std::vector<std::int32_t> ids = prompt;
  std::vector<double> got;
  generate(model, prompt, settings, rngs, [&](const NewToken& token) {
    ids.push_back(token.id);
    got.push_back(token.log_probability);
    return true;
  });
  const std::int64_t T = std::ssize(ids) - 1;
  std::vector<std::int32_t> targets(ids.begin() + 1, ids.end());
  std::vector<float> losses(targets.size());
  Tape tape(Recording::off);
  model.token_losses(tape, Tensor(ids.data(), {1, T}), Tensor(targets.data(), {1, T}), losses.data());
  REQUIRE(got.size() == 10);
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == approx(-losses[i + 2]).epsilon(1e-5));
}

TEST_CASE("generate: the repetition penalty keeps greedy generation from repeating a token") {
  GPT2 model = load_model("tests/goldens/small.bin");
  GenerateSettings settings;
  settings.max_tokens = 20;
  settings.sampler = {.temperature = 0.0f, .repetition_penalty = 1000.0f};
  std::vector<std::int32_t> ids;
  Rng rng(1);
  generate(model, std::vector<std::int32_t>{5, 6, 7}, settings, rng, [&](std::int32_t id) {
    ids.push_back(id);
    return true;
  });
  std::sort(ids.begin(), ids.end());
  CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
  CHECK_FALSE(std::binary_search(ids.begin(), ids.end(), 6));
}

TEST_CASE("generate: an empty prompt and an id outside the vocabulary are errors") {
  GPT2 model = load_model("tests/goldens/small.bin");
  Rng rng(1);
  const auto ignore = [](std::int32_t) { return true; };
  CHECK_THROWS_WITH(generate(model, {}, {}, rng, ignore), contains("the prompt is empty"));
  const std::vector<std::int32_t> bad = {1, 131};
  CHECK_THROWS_WITH(generate(model, bad, {}, rng, ignore), contains("131"));
}

TEST_CASE("generate: logits that are not finite are an error, also if the likeliest token is taken") {
  for (const float large : {3e38f, 1e38f}) {
    GPT2 model = load_model("tests/goldens/small.bin");
    for (float& w : model.parameters().values_of(kLnfw)) w = large;
    for (float& w : model.parameters().values_of(kWte)) w *= 100;
    for (const float temperature : {0.0f, 1.0f}) {
      GenerateSettings settings;
      settings.sampler.temperature = temperature;
      const std::vector<std::int32_t> prompt = {1, 2, 3};
      Rng rng(1);
      CHECK_THROWS_WITH(generate(model, prompt, settings, rng, [](std::int32_t) { return true; }),
                        contains("after 3 tokens, the scores of the next token are not finite numbers"));
    }
  }
}

TEST_CASE("generate: one logit that is infinite is an error for the first and the last id, not for padding") {
  const auto generate_with_infinite = [](std::size_t id) {
    GPT2 model = load_model("tests/goldens/small.bin");
    const auto C = static_cast<std::size_t>(model.config().channels);
    model.parameters().values_of(kLnfb)[0] = 1000;
    model.parameters().values_of(kWte)[id * C] = 3e38f;
    GenerateSettings settings;
    settings.max_tokens = 1;
    const std::vector<std::int32_t> prompt = {1, 2, 3};
    Rng rng(1);
    return generate(model, prompt, settings, rng, [](std::int32_t) { return true; });
  };
  for (const std::size_t id : {0u, 130u}) {
    INFO("id " << id);
    CHECK_THROWS_WITH(generate_with_infinite(id), contains("the scores of the next token are not finite"));
  }
  CHECK(generate_with_infinite(131) == 1);
}

}  // namespace
}  // namespace inkling
