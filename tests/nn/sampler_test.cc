// Sampling: the distribution after temperature, top-k and top-p, and the draws from it.
#include "nn/sampler.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

constexpr double kProbability = 2e-7;  // probabilities are floats at most 1

TEST_CASE("sampler: temperature, top-k and top-p give the reference's distributions") {
  std::ifstream file("tests/goldens/sampling.json");
  const json golden = json::parse(file);
  REQUIRE(golden["cases"].size() > 10);
  for (const json& one : golden["cases"]) {
    INFO(one.dump());
    Sampler sampler({one["temperature"], one["top_k"], one["top_p"]});
    const auto logits = one["logits"].get<std::vector<float>>();
    std::vector<double> got(logits.size(), 0.0);
    for (const Candidate& c : sampler.candidates(logits)) got[static_cast<std::size_t>(c.id)] = c.probability;
    const auto want = one["probs"].get<std::vector<double>>();
    for (std::size_t i = 0; i < want.size(); ++i) {
      CHECK(std::abs(got[i] - want[i]) < kProbability);
      CHECK((got[i] == 0.0) == (want[i] == 0.0));
    }
  }
}

TEST_CASE("sampler: among many tokens the nucleus is the fewest of the likeliest that reach top-p") {
  std::vector<float> logits = random_floats(5000, 3);
  for (std::size_t i = 0; i < logits.size(); i += 7) logits[i] *= 8.0f;
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  double total = 0;
  for (float z : logits) total += std::exp(static_cast<double>(z));
  for (const float top_p : {1e-4f, 0.3f, 0.9f, 0.999f}) {
    INFO("top-p = " << top_p);
    std::vector<std::int32_t> want;
    for (double reached = 0; reached < static_cast<double>(top_p) * total;) {
      const std::size_t next = order[want.size()];
      want.push_back(static_cast<std::int32_t>(next));
      reached += std::exp(static_cast<double>(logits[next]));
    }
    std::sort(want.begin(), want.end());
    Sampler sampler({1.0f, 0, top_p});
    std::vector<std::int32_t> got;
    for (const Candidate& c : sampler.candidates(logits)) got.push_back(c.id);
    std::sort(got.begin(), got.end());
    CHECK(got == want);
  }
}

TEST_CASE("sampler: temperature 0 takes the likeliest token, and the lower id on a tie") {
  Sampler greedy({0.0f, 0, 1.0f});
  Rng rng(1);
  const std::vector<float> logits = {1.0f, 5.0f, -2.0f, 5.0f};
  for (int i = 0; i < 20; ++i) CHECK(greedy.sample(logits, rng) == 1);
}

TEST_CASE("sampler: each token is drawn with the frequency of its probability") {
  const std::vector<float> logits = {0.0f, 1.0f, 2.0f, -1.0f, -std::numeric_limits<float>::infinity()};
  Sampler sampler({1.0f, 0, 1.0f});
  Rng rng(7);
  constexpr int kDraws = 100000;
  std::vector<int> counts(logits.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(sampler.sample(logits, rng))];
  double total = 0;
  for (float z : logits) total += std::exp(static_cast<double>(z));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double p = std::exp(static_cast<double>(logits[i])) / total;
    const double five_sigma = 5 * std::sqrt(p * (1 - p) / kDraws);
    CHECK(std::abs(static_cast<double>(counts[i]) / kDraws - p) <= five_sigma);
  }
}

std::vector<std::int32_t> kept(const SamplerSettings& settings, const std::vector<float>& logits) {
  Sampler sampler(settings);
  std::vector<std::int32_t> ids;
  for (const Candidate& c : sampler.candidates(logits)) ids.push_back(c.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST_CASE("sampler: min-p keeps the tokens that are at least m times as likely as the likeliest") {
  // The probabilities are 8/15, 4/15, 2/15 and 1/15.
  const std::vector<float> logits = {std::log(1.0f), std::log(8.0f), std::log(2.0f), std::log(4.0f)};
  const auto with_min_p = [&](float min_p) { return kept({.min_p = min_p}, logits); };
  using Ids = std::vector<std::int32_t>;
  CHECK(with_min_p(0.0f) == Ids{0, 1, 2, 3});
  CHECK(with_min_p(0.12f) == Ids{0, 1, 2, 3});
  CHECK(with_min_p(0.13f) == Ids{1, 2, 3});
  CHECK(with_min_p(0.3f) == Ids{1, 3});
  CHECK(with_min_p(0.51f) == Ids{1});
  CHECK(with_min_p(1.0f) == Ids{1});
  // With temperature 2, the probabilities have the ratios 1 : 2.83 : 1.41 : 2.
  CHECK(kept({.temperature = 2.0f, .min_p = 0.6f}, logits) == Ids{1, 3});
  Sampler sampler({.min_p = 0.3f});
  for (const Candidate& c : sampler.candidates(logits))
    CHECK(c.probability == approx(c.id == 1 ? 2.0 / 3 : 1.0 / 3));
}

TEST_CASE(
    "sampler: the repetition penalty divides positive logits and multiplies negative ones, once a token") {
  const std::vector<float> logits = {3.0f, -1.0f, 2.0f, 0.5f}, want = {2.0f, -1.5f, 2.0f, 0.5f};
  const std::vector<std::int32_t> text = {0, 1, 0, 3, 0};
  SamplerSettings settings{.repetition_penalty = 1.5f, .never_penalised = 3};
  Sampler sampler(settings), plain({});
  const std::span<const Candidate> got = sampler.candidates(logits, text), expected = plain.candidates(want);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i].probability == expected[i].probability);
  settings.temperature = 0;  // greedy, too
  settings.repetition_penalty = 2.0f;
  Rng rng(1);
  CHECK(Sampler(settings).sample(logits, text, rng) == 2);
  CHECK(Sampler(settings).sample(logits, rng) == 0);
}

TEST_CASE("sampler: invalid settings and NaN logits are errors") {
  CHECK_THROWS_WITH(Sampler({-1.0f, 0, 1.0f}), contains("temperature is -1"));
  CHECK_THROWS_WITH(Sampler({1.0f, -3, 1.0f}), contains("top-k is -3"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, 0.0f}), contains("top-p is 0"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, 1.5f}), contains("top-p is 1.5"));
  CHECK_THROWS_WITH(Sampler({.min_p = 1.5f}), contains("min-p is 1.5"));
  CHECK_THROWS_WITH(Sampler({.repetition_penalty = 0.0f}), contains("repetition-penalty is 0"));
  Sampler sampler({1.0f, 0, 1.0f});
  CHECK_THROWS_WITH(sampler.candidates(std::vector<float>{0.0f, NAN}), contains("logit 1 is nan"));
}

}  // namespace
}  // namespace inkling
