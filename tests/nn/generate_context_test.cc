// The tokens that generation keeps when the context is full, and the random numbers that each text uses. The
// tests compute every token again by a full pass in double (tests/nn/naive_gpt2.h).
#include <algorithm>

#include "nn/generate.h"
#include "tests/nn/naive_gpt2.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Ids = std::vector<std::int32_t>;

// The likeliest logit must be larger than every other logit by more than this. Then float and double
// certainly choose the same token.
constexpr double kClear = 1e-4;

GPT2Config config_of(std::int64_t maxT) {
  return {.max_seq_len = maxT, .vocab_size = 13, .layers = 1, .heads = 2, .channels = 8};
}

GPT2 model_of(const GPT2Config& config) {
  GPT2 model(config);
  model.initialise(2);
  return model;
}

// The tokens of a text that the model sees: all tokens while there are at most maxT. With one more token, the
// model forgets all but the newest maxT / 2 tokens and reads these again at positions 0, 1, 2 and so on.
class Context {
 public:
  explicit Context(std::int64_t maxT) : most_(static_cast<std::size_t>(maxT)) {}
  void add(std::int32_t id) {
    tokens_.push_back(id);
    if (tokens_.size() > most_) forget();
  }
  void read(const Ids& prompt) {
    tokens_ = prompt;
    if (tokens_.size() > most_) forget();
  }
  const Ids& tokens() const { return tokens_; }

 private:
  void forget() {
    const std::size_t kept = std::max<std::size_t>(1, most_ / 2);
    tokens_ = Ids(tokens_.end() - static_cast<std::ptrdiff_t>(kept), tokens_.end());
  }
  std::size_t most_;
  Ids tokens_;
};

std::vector<double> next_logits(const GPT2Config& config, const std::vector<double>& weights,
                                const Ids& seen) {
  const auto all = NaiveGPT2(config).logits(weights, seen);
  return {all.end() - config.vocab_size, all.end()};
}

TEST_CASE("generate: a full context keeps its newer half, moved to positions 0 and up, again and again") {
  for (const std::int64_t maxT : {1, 2, 3, 4, 6, 9}) {
    GPT2 model = model_of(config_of(maxT));
    const std::vector<double> weights = as_doubles(model.parameters().values());
    for (const std::int64_t prompt_length : {std::int64_t{1}, maxT - 1, maxT, maxT + 1, 2 * maxT + 1}) {
      if (prompt_length < 1) continue;
      INFO("maxT " << maxT << ", a prompt of " << prompt_length);
      Ids prompt;
      for (std::int64_t i = 0; i < prompt_length; ++i)
        prompt.push_back(static_cast<std::int32_t>((i * 5 + 2) % 13));
      GenerateSettings settings;
      settings.max_tokens = 3 * maxT + 2;
      settings.sampler.temperature = 0;
      Ids got;
      Rng rng(1);
      const std::int64_t made = generate(model, prompt, settings, rng, [&](std::int32_t id) {
        got.push_back(id);
        return true;
      });
      CHECK(made == 3 * maxT + 2);
      REQUIRE(std::ssize(got) == made);
      Context context(maxT);
      context.read(prompt);
      for (std::int32_t id : got) {
        const auto logits = next_logits(model.config(), weights, context.tokens());
        const auto best = std::max_element(logits.begin(), logits.end());
        for (auto other = logits.begin(); other != logits.end(); ++other)
          REQUIRE((other == best || *best - *other > kClear));
        REQUIRE(id == best - logits.begin());
        context.add(id);
      }
    }
  }
}

// Each token has a part of [0, 1) as long as its probability. Returns the id whose part contains `uniform`,
// computed in double.
std::int32_t drawn(const std::vector<double>& logits, double uniform) {
  double total = 0, reached = 0;
  for (double z : logits) total += std::exp(z);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    reached += std::exp(logits[i]) / total;
    REQUIRE(std::abs(reached - uniform) > 1e-6);
    if (uniform < reached) return static_cast<std::int32_t>(i);
  }
  return -1;
}

TEST_CASE("generate: each text uses its own random numbers, one for each token, also after a full context") {
  const std::int64_t maxT = 6;
  GPT2 model = model_of(config_of(maxT));
  const std::vector<double> weights = as_doubles(model.parameters().values());
  const std::int32_t stop = 4;
  for (const std::int64_t texts :
       {std::int64_t{1}, std::int64_t{3}, kTogether, kTogether + 1, 2 * kTogether + 1}) {
    INFO(texts << " texts");
    const Ids prompt = {7, 0, 12};
    GenerateSettings settings;
    settings.max_tokens = 15, settings.stop_token = stop;
    std::vector<Rng> rngs;
    for (std::int64_t i = 0; i < texts; ++i) rngs.emplace_back(11, static_cast<std::uint64_t>(i));
    std::vector<Rng> ours = rngs;
    std::vector<Ids> got(static_cast<std::size_t>(texts));
    const std::int64_t made =
        generate(model, prompt, settings, rngs, [&](std::int64_t text, std::int32_t id) {
          got.at(static_cast<std::size_t>(text)).push_back(id);
          return id != 9;  // the caller ends the text after a 9; the 9 belongs to the text
        });
    std::int64_t total = 0, stopped = 0, full = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      Context context(maxT);
      context.read(prompt);
      Ids want;
      while (std::ssize(want) < settings.max_tokens) {
        const std::int32_t id =
            drawn(next_logits(model.config(), weights, context.tokens()), ours[i].uniform());
        if (id == stop) ++stopped;
        if (id == stop) break;
        want.push_back(id);
        if (id == 9) break;
        context.add(id);
      }
      full += std::ssize(want) == settings.max_tokens ? 1 : 0;
      CHECK(got[i] == want);
      CHECK(rngs[i].state() == ours[i].state());
      total += std::ssize(want);
    }
    CHECK(made == total);
    // Some texts end at the stop token, others at max_tokens.
    if (texts > kTogether) CHECK((stopped > 0 && full > 0));
  }
}

TEST_CASE("generate: with max_tokens of 0, 1 and 2, and without texts, the number of tokens is right") {
  GPT2 model = model_of(config_of(4));
  const Ids prompt = {1, 2};
  GenerateSettings settings;
  std::int64_t calls = 0;
  const auto count = [&](std::int64_t, std::int32_t) {
    ++calls;
    return true;
  };
  std::vector<Rng> rngs(2, Rng(1)), none;
  for (const std::int64_t tokens : {0, 1, 2}) {
    settings.max_tokens = tokens, calls = 0;
    CHECK(generate(model, prompt, settings, rngs, count) == 2 * tokens);
    CHECK(calls == 2 * tokens);
    CHECK(generate(model, prompt, settings, none, count) == 0);
  }
}

TEST_CASE("generate: id 0 may be the stop token, and -1 means no stop token") {
  GPT2 model = model_of(config_of(4));
  // All logits are equal, so greedy sampling takes id 0.
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  const Ids prompt = {3};
  GenerateSettings settings;
  settings.max_tokens = 6, settings.sampler.temperature = 0;
  const auto text = [&](std::int32_t stop) {
    settings.stop_token = stop;
    Ids ids;
    Rng rng(1);
    generate(model, prompt, settings, rng, [&](std::int32_t id) {
      ids.push_back(id);
      return true;
    });
    return ids;
  };
  CHECK(text(0).empty());
  CHECK(text(-1) == Ids{0, 0, 0, 0, 0, 0});
  CHECK(text(1) == Ids{0, 0, 0, 0, 0, 0});
}

}  // namespace
}  // namespace inkling
