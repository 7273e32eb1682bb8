// Edge cases of sampling: equal logits, a nucleus whose probability is exactly top-p, temperatures at the
// limits of their range, and the token that a given random number selects.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "nn/sampler.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Ids = std::vector<std::int32_t>;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kProbability = 2e-7;  // probabilities are floats at most 1

// The ids that may come next, in ascending order.
Ids ids_of(const SamplerSettings& settings, const std::vector<float>& logits) {
  Sampler sampler(settings);
  Ids ids;
  for (const Candidate& c : sampler.candidates(logits)) ids.push_back(c.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// A stream of random numbers that begins with `uniform`, a multiple of 2^-53. The output of xoshiro256** is
// rotl(5 s, 7) * 9; this computes s from the output, with the inverses of 5 and 9 modulo 2^64.
Rng rng_that_draws(double uniform) {
  constexpr std::uint64_t kInverse5 = 0xcccccccccccccccd, kInverse9 = 0x8e38e38e38e38e39;
  static_assert(kInverse5 * 5 == 1 && kInverse9 * 9 == 1);
  const auto wanted = static_cast<std::uint64_t>(uniform * 0x1p53) << 11;
  Rng rng(0);
  rng.set_state({1, std::rotr(wanted * kInverse9, 7) * kInverse5, 3, 4});
  Rng copy = rng;
  REQUIRE(copy.uniform() == uniform);
  return rng;
}

std::int32_t drawn(const SamplerSettings& settings, const std::vector<float>& logits, double uniform) {
  Sampler sampler(settings);
  Rng rng = rng_that_draws(uniform);
  return sampler.sample(logits, rng);
}

TEST_CASE("sampler: among equal logits top-k keeps the lower ids") {
  const std::vector<float> logits = {1, 3, 0, 3, 3, 2, 3};
  CHECK(ids_of({1.0f, 1, 1.0f}, logits) == Ids{1});
  CHECK(ids_of({1.0f, 2, 1.0f}, logits) == Ids{1, 3});
  CHECK(ids_of({1.0f, 3, 1.0f}, logits) == Ids{1, 3, 4});
  CHECK(ids_of({1.0f, 4, 1.0f}, logits) == Ids{1, 3, 4, 6});
  CHECK(ids_of({1.0f, 5, 1.0f}, logits) == Ids{1, 3, 4, 5, 6});
  const std::vector<float> all_equal(100, -2.5f);
  CHECK(ids_of({1.0f, 3, 1.0f}, all_equal) == Ids{0, 1, 2});
}

TEST_CASE("sampler: a top-k of 0, of V and of more than V keeps every token") {
  const std::vector<float> logits = {1, 3, 0, 3, 2};
  for (const std::int64_t k : {0, 5, 6, 1000000})
    CHECK(ids_of({1.0f, k, 1.0f}, logits) == Ids{0, 1, 2, 3, 4});
  CHECK(ids_of({1.0f, 4, 1.0f}, logits) == Ids{0, 1, 3, 4});
}

TEST_CASE("sampler: the nucleus ends when it reaches top-p exactly; among equal logits it takes lower ids") {
  const std::vector<float> four(4, 0.7f);  // each has probability 1/4 exactly, without rounding
  CHECK(ids_of({1.0f, 0, 0.25f}, four) == Ids{0});
  CHECK(ids_of({1.0f, 0, 0.5f}, four) == Ids{0, 1});
  CHECK(ids_of({1.0f, 0, 0.75f}, four) == Ids{0, 1, 2});
  CHECK(ids_of({1.0f, 0, 1.0f}, four) == Ids{0, 1, 2, 3});
  CHECK(ids_of({1.0f, 0, std::nextafter(0.25f, 1.0f)}, four) == Ids{0, 1});
  CHECK(ids_of({1.0f, 0, std::nextafter(0.5f, 1.0f)}, four) == Ids{0, 1, 2});
  CHECK(ids_of({1.0f, 0, std::nextafter(0.5f, 0.0f)}, four) == Ids{0, 1});
  CHECK(ids_of({1.0f, 0, std::nextafter(1.0f, 0.0f)}, four) == Ids{0, 1, 2, 3});
  // The probabilities are 0, 1/8, 1/2, 1/4 and 1/8, up to rounding.
  const float half = std::log(0.5f);
  const std::vector<float> halves = {-kInf, 3 * half, half, 2 * half, 3 * half};
  CHECK(ids_of({1.0f, 0, 0.49f}, halves) == Ids{2});
  CHECK(ids_of({1.0f, 0, 0.74f}, halves) == Ids{2, 3});
  CHECK(ids_of({1.0f, 0, 0.87f}, halves) == Ids{1, 2, 3});
  CHECK(ids_of({1.0f, 0, 0.88f}, halves) == Ids{1, 2, 3, 4});
}

TEST_CASE("sampler: a tiny top-p keeps the likeliest token, and one token always remains") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  for (const float p : {tiny, 1e-30f, 1e-6f}) {
    CHECK(ids_of({1.0f, 0, p}, std::vector<float>(8, 2.0f)) == Ids{0});
    CHECK(ids_of({1.0f, 0, p}, {1, 2, 4, 3, 4}) == Ids{2});
    CHECK(ids_of({1.0f, 0, p}, {-7}) == Ids{0});
    CHECK(ids_of({1.0f, 0, p}, std::vector<float>(5000, -1.0f)) == Ids{0});
  }
  CHECK(ids_of({1.0f, 1, 1.0f}, {-7}) == Ids{0});
  CHECK(ids_of({0.0f, 0, 1.0f}, {-7}) == Ids{0});
}

TEST_CASE("sampler: top-p uses the probabilities after temperature and top-k") {
  // top-k keeps two of four equal tokens, so each has probability 1/2.
  const std::vector<float> four(4, 0.0f);
  CHECK(ids_of({1.0f, 2, 0.5f}, four) == Ids{0});
  CHECK(ids_of({1.0f, 2, std::nextafter(0.5f, 1.0f)}, four) == Ids{0, 1});
  // The ratio of the probabilities is 4 : 1 at temperature 1, 2 : 1 at temperature 2, 16 : 1 at temperature
  // 1/2.
  const std::vector<float> logits = {0, std::log(4.0f)};
  CHECK(ids_of({1.0f, 0, 0.79f}, logits) == Ids{1});
  CHECK(ids_of({1.0f, 0, 0.81f}, logits) == Ids{0, 1});
  CHECK(ids_of({2.0f, 0, 0.66f}, logits) == Ids{1});
  CHECK(ids_of({2.0f, 0, 0.68f}, logits) == Ids{0, 1});
  CHECK(ids_of({0.5f, 0, 0.94f}, logits) == Ids{1});
  CHECK(ids_of({0.5f, 0, 0.95f}, logits) == Ids{0, 1});
}

TEST_CASE("sampler: the kept tokens' probabilities keep their ratios and sum to 1") {
  const std::vector<float> logits = {0.5f, -1, 2, 0.25f, 1.5f, -3};
  const auto check = [&](const SamplerSettings& settings) {
    const Ids kept = ids_of(settings, logits);
    double total = 0;
    for (std::int32_t id : kept)
      total += std::exp(static_cast<double>(logits[static_cast<std::size_t>(id)]) /
                        static_cast<double>(settings.temperature));
    Sampler sampler(settings);
    for (const Candidate& c : sampler.candidates(logits)) {
      const double want = std::exp(static_cast<double>(logits[static_cast<std::size_t>(c.id)]) /
                                   static_cast<double>(settings.temperature)) /
                          total;
      CHECK(std::abs(static_cast<double>(c.probability) - want) < kProbability);
    }
    return kept;
  };
  CHECK(check({0.7f, 0, 1.0f}).size() == 6);
  CHECK(check({0.7f, 4, 1.0f}) == Ids{0, 2, 3, 4});
  CHECK(check({1.3f, 0, 0.6f}) == Ids{2, 4});
  CHECK(check({1.3f, 5, 0.999f}).size() == 5);
}

TEST_CASE("sampler: a temperature near 0 keeps the likeliest tokens, with equal parts if they are equal") {
  const std::vector<float> logits = {1, 5, -2, 5, 4.9999f};
  for (const float temperature : {1e-6f, 1e-30f, std::numeric_limits<float>::denorm_min()}) {
    Sampler sampler({temperature, 0, 1.0f});
    for (const Candidate& c : sampler.candidates(logits))
      CHECK(c.probability == (c.id == 1 || c.id == 3 ? 0.5f : 0.0f));
  }
  Sampler greedy({0.0f, 3, 0.1f});
  REQUIRE(greedy.candidates(logits).size() == 1);
  CHECK(greedy.candidates(logits)[0].id == 1);
  CHECK(greedy.candidates(logits)[0].probability == 1.0f);
  CHECK(drawn({0.0f, 0, 1.0f}, {-kInf, -1, -kInf, -1}, 0x1p-53) == 1);
}

TEST_CASE("sampler: equal infinite logits get equal probabilities") {
  Sampler sampler({1.0f, 0, 1.0f});
  for (const Candidate& c : sampler.candidates(std::vector<float>{3, kInf, -kInf, kInf}))
    CHECK(c.probability == (c.id % 2 == 1 ? 0.5f : 0.0f));
  for (const Candidate& c : sampler.candidates(std::vector<float>(4, -kInf))) CHECK(c.probability == 0.25f);
}

TEST_CASE("sampler: a random number draws the first candidate whose cumulative probability is above it") {
  constexpr double kLast = 1 - 0x1p-53;
  const std::vector<float> four(4, 1.5f);
  const SamplerSettings plain{1.0f, 0, 1.0f};
  for (std::int32_t i = 0; i < 4; ++i) {
    CHECK(drawn(plain, four, 0.25 * i) == i);
    CHECK(drawn(plain, four, 0.25 * (i + 1) - 0x1p-53) == i);
  }
  for (const SamplerSettings& settings :
       {plain, SamplerSettings{0.8f, 0, 1.0f}, {1.0f, 7, 1.0f}, {1.2f, 0, 0.9f}, {0.6f, 12, 0.8f}}) {
    const std::vector<float> logits = random_floats(20, 4);
    Sampler sampler(settings);
    std::vector<Candidate> all;
    for (const Candidate& c : sampler.candidates(logits)) all.push_back(c);
    for (double uniform = 0; uniform < 1; uniform += 1.0 / 64) {
      double cumulative = 0;
      std::size_t want = 0;
      while ((cumulative += static_cast<double>(all[want].probability)) <= uniform) ++want;
      CHECK(drawn(settings, logits, uniform) == all[want].id);
    }
    CHECK(drawn(settings, logits, 0) == all.front().id);
    CHECK(drawn(settings, logits, kLast) == all.back().id);
  }
}

TEST_CASE("sampler: a token of probability 0 is never drawn, even by the first or last random number") {
  constexpr double kLast = 1 - 0x1p-53;
  CHECK(drawn({1.0f, 0, 1.0f}, {-kInf, 2, -kInf}, 0) == 1);
  CHECK(drawn({1.0f, 0, 1.0f}, {-kInf, 2, -kInf}, kLast) == 1);
  // n equal tokens have the probability float(1/n) each. If float(1/n) is less than 1/n, their sum is
  // below 1.
  for (std::size_t n = 1; n < 200; ++n) {
    std::vector<float> logits(n, 0.0f);
    logits.push_back(-kInf);
    const std::int32_t id = drawn({1.0f, 0, 1.0f}, logits, kLast);
    CHECK(id < static_cast<std::int32_t>(n));
    CHECK(drawn({1.0f, static_cast<std::int64_t>(n) + 1, 1.0f}, logits, kLast) == id);
  }
}

TEST_CASE("sampler: one draw takes one random number, with any settings") {
  const std::vector<float> logits = random_floats(50, 2);
  for (const SamplerSettings& settings : {SamplerSettings{1.0f, 0, 1.0f}, {1.0f, 1, 1.0f}, {0.5f, 9, 0.5f}}) {
    Sampler sampler(settings);
    Rng rng(3), counted(3);
    for (int draw = 0; draw < 5; ++draw) sampler.sample(logits, rng);
    for (int draw = 0; draw < 5; ++draw) counted.uniform();
    CHECK(rng.state() == counted.state());
  }
}

TEST_CASE("sampler: settings up to their limits are accepted, settings beyond them are errors") {
  CHECK_NOTHROW(Sampler({0.0f, 0, std::numeric_limits<float>::denorm_min()}));
  CHECK_NOTHROW(Sampler({std::numeric_limits<float>::max(), 1, 1.0f}));
  CHECK_THROWS_WITH(Sampler({kInf, 0, 1.0f}), contains("temperature is inf"));
  CHECK_THROWS_WITH(Sampler({NAN, 0, 1.0f}), contains("temperature is nan"));
  CHECK_THROWS_WITH(Sampler({1.0f, -1, 1.0f}), contains("top-k is -1"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, std::nextafter(1.0f, 2.0f)}), contains("top-p is 1"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, -0.5f}), contains("top-p is -0.5"));
  CHECK_THROWS_WITH(Sampler({1.0f, 0, NAN}), contains("top-p is nan"));
  Sampler sampler({1.0f, 0, 1.0f});
  CHECK_THROWS_WITH(sampler.candidates({}), contains("no logits"));
  CHECK_THROWS_WITH(sampler.candidates(std::vector<float>{NAN, 0}), contains("logit 0 is nan"));
  CHECK_THROWS_WITH(Sampler({0.0f, 0, 1.0f}).candidates(std::vector<float>{0, 1, NAN}),
                    contains("logit 2 is nan"));
}

}  // namespace
}  // namespace inkling
