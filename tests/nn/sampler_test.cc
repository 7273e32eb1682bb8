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

TEST_CASE("sampler: invalid settings and NaN logits are errors") {
  CHECK_THROWS_WITH(Sampler({-1.0f, 0, 1.0f}), contains("temperature is -1"));
  CHECK_THROWS_WITH(Sampler({1.0f, -3, 1.0f}), contains("top-k is -3"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, 0.0f}), contains("top-p is 0"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, 1.5f}), contains("top-p is 1.5"));
  Sampler sampler({1.0f, 0, 1.0f});
  CHECK_THROWS_WITH(sampler.candidates(std::vector<float>{0.0f, NAN}), contains("logit 1 is nan"));
}

}  // namespace
}  // namespace inkling
