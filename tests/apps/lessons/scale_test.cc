// Lesson 9: fits recover the exponents of made-up data, abilities are probabilities, and more buys less loss.
#include <cmath>
#include <set>

#include "apps/lessons/scale/fits.h"
#include "apps/lessons/scale/runs.h"
#include "apps/text/stories.h"
#include "tests/apps/lessons/lesson.h"

namespace inkling {
namespace {

using namespace inkling::test;

const nlohmann::json& quick() {
  return lesson_json("9");
}

TEST_CASE("lesson 9: a fitted power law has the exponent of the data, and r2 says how straight the line is") {
  const std::vector<double> x = {1e4, 3e4, 1e5, 1e6};
  std::vector<double> y, floored;
  for (const double v : x) {
    y.push_back(7 * std::pow(v, -0.31));
    floored.push_back(0.5678 + y.back());
  }
  const PowerLaw law = fit_power_law(x, y);
  CHECK(law.factor == approx(7).epsilon(1e-9));
  CHECK(law.exponent == approx(0.31).epsilon(1e-9));
  CHECK(law.r2 == approx(1).epsilon(1e-12));
  CHECK(law.at(2e5) == approx(7 * std::pow(2e5, -0.31)).epsilon(1e-9));
  CHECK(fit_power_law(x, floored).r2 < 0.99);
  const FlooredPowerLaw found = fit_floor(x, floored);
  CHECK(found.floor == approx(0.5678).margin(0.001));
  CHECK(found.law.exponent == approx(0.31).epsilon(0.02));
  CHECK_THROWS_WITH(fit_power_law({2, 2}, {1, 3}), contains("all x are the same"));
}

TEST_CASE("lesson 9: two power laws that are added are told apart") {
  std::vector<double> n, d, y;
  for (const double N : {1e4, 3e4, 1e5, 3e5, 2e6}) {
    for (const double D : {2e4, 8e4, 3e5, 1.3e6}) {
      n.push_back(N), d.push_back(D);
      y.push_back(90 * std::pow(N, -0.52) + 40 * std::pow(D, -0.37));
    }
  }
  const TwoPowerLaws law = fit_two_power_laws(n, d, y);
  CHECK(law.alpha == approx(0.52).epsilon(1e-4));
  CHECK(law.beta == approx(0.37).epsilon(1e-4));
  CHECK(law.a == approx(90).epsilon(1e-3));
  CHECK(law.b == approx(40).epsilon(1e-3));
  CHECK(law.at(1e5, 1e6) == approx(90 * std::pow(1e5, -0.52) + 40 * std::pow(1e6, -0.37)).epsilon(1e-4));
}

TEST_CASE("lesson 9: at every place the right answer is known from the text before") {
  Rng rng(1, 2);
  const StoryRows rows = story_rows(40, 64, rng);
  const Places places = places_in(rows);
  const auto text = [&](std::int32_t id) { return story_tokenizer().token(id); };
  const auto before = [&](const Place& place) {
    std::set<std::string> said;
    for (std::int64_t i = place.at / 64 * 64; i <= place.at; ++i)
      said.insert(text(rows.ids[static_cast<std::size_t>(i)]));
    return said;
  };
  for (const Ability a : {kHero, kThing}) {
    CHECK(places[a].size() > 10);
    for (const Place& place : places[a]) {
      CHECK(place.right.size() == 1);
      CHECK(place.rivals.size() == (a == kHero ? 24u : 12u));
      CHECK(before(place).contains(text(place.right[0])));
      CHECK(rows.targets[static_cast<std::size_t>(place.at)] == place.right[0]);
    }
  }
  for (const Place& place : places[kPronoun]) {
    const bool he = text(place.right[0]) == " He";
    CHECK(place.right.size() == (he ? 5u : 4u));
    CHECK(place.rivals.size() == 9);
    CHECK(before(place).contains(he ? " boy" : " girl"));
  }
  for (const Place& place : places[kQuote]) {
    CHECK(text(place.right[0]).back() == '"');
    CHECK(rows.nats[static_cast<std::size_t>(place.at)] == 0.0f);
  }
  CHECK(places[kPair].size() > 5);
  CHECK(places[kPair].size() < places[kThing].size());
  for (const Place& place : places[kSound]) CHECK(place.rivals.size() == 12);
  CHECK(places[kSound].size() > 3);
  CHECK(places[kNovel].empty());
}

TEST_CASE("lesson 9: a new pattern repeats eight words, and a model that knows nothing guesses") {
  Rng rng(3, 4);
  const StoryRows rows = novel_rows(4, 64, rng);
  const std::vector<Place> places = novel_places(rows);
  CHECK(places.size() == 4 * 56);
  for (const Place& place : places) {
    const auto at = static_cast<std::size_t>(place.at);
    CHECK(rows.targets[at] == rows.targets[at - 8]);
    if (place.at % 64 > 8) CHECK(rows.ids[at] == rows.ids[at - 8]);
  }
  Exam exam(16, 64, 42);
  GPT2 model({.max_seq_len = 64,
              .vocab_size = story_tokenizer().vocab_size(),
              .layers = 1,
              .heads = 1,
              .channels = 4});
  const Examination guess = exam.examine(model);  // all weights are 0, so all logits are 0
  for (const Skill& skill : guess.skills) {
    CHECK(skill.places > 0);
    CHECK(skill.p == approx(skill.chance).epsilon(1e-6));
  }
  CHECK(guess.loss == approx(std::log(498)).epsilon(1e-5));
  CHECK(guess.flawless < 0.5);
}

TEST_CASE(
    "lesson 9: more parameters and more data lower the loss, and no loss is below the minimum over rows") {
  const nlohmann::json& lesson = quick();
  const double minimum = value(lesson, "exam.min_over_rows");
  CHECK(minimum > 0.4);
  for (const std::string size : {"c12", "c24", "c48"}) {
    double last = 1e9;
    for (const std::string share : {"d16", "d4", "d1"}) {
      const std::string run = "run." + size + "." + share + ".";
      INFO(run);
      const double loss = value(lesson, run + "loss");
      CHECK(loss < last);
      CHECK(loss > minimum);
      CHECK(value(lesson, run + "reducible") == approx(loss - minimum).margin(1e-9));
      CHECK(value(lesson, run + "flops") >
            6 * value(lesson, run + "parameters") * value(lesson, run + "tokens"));
      last = loss;
    }
  }
  CHECK(value(lesson, "run.c24.d1.loss") < value(lesson, "run.c12.d1.loss"));
  CHECK(value(lesson, "run.c48.d1.loss") < value(lesson, "run.c24.d1.loss"));
  CHECK(value(lesson, "law.n.exponent") > 0);
  CHECK(value(lesson, "law.d.exponent") > 0);
  CHECK(value(lesson, "joint.alpha") > 0);
}

TEST_CASE("lesson 9: the fits on the page follow from the runs on the page") {
  const nlohmann::json& lesson = quick();
  std::vector<double> n, y;
  for (const std::string size : {"c12", "c24", "c48"}) {
    n.push_back(value(lesson, "run." + size + ".d4.parameters"));
    y.push_back(value(lesson, "run." + size + ".d4.reducible"));
  }
  CHECK(value(lesson, "law.n.exponent") == approx(fit_power_law(n, y).exponent).epsilon(1e-9));
  CHECK(value(lesson, "law.n.r2") == approx(fit_power_law(n, y).r2).epsilon(1e-9));
  check_printed(lesson, {{"scale.words", "12"},
                         {"scale.weights", "36"},
                         {"scale.vocabulary", "498"},
                         {"scale.gpt3", "174.6"},
                         {"scale.parameters.smallest", "8,820"}});
}

TEST_CASE("lesson 9: abilities are probabilities, and the easiest is learned first") {
  const nlohmann::json& lesson = quick();
  for (const char* name : {"quote", "pronoun", "sound", "hero", "thing", "pair", "novel"}) {
    INFO(name);
    for (const std::string size : {"c12", "c24", "c48"}) {
      const double p = value(lesson, "run." + size + ".d4." + name);
      CHECK(p >= 0);
      CHECK(p <= 1);
    }
    CHECK(value(lesson, std::string("ability.") + name + ".places") > 0);
  }
  CHECK(value(lesson, "step.quote.end") > value(lesson, "ability.quote.chance") + 0.2);
  CHECK(value(lesson, "step.quote.end") > value(lesson, "step.novel.end"));
  CHECK(lesson["charts"]["step.chart"]["series"].size() == 7);
}

TEST_CASE("lesson 9: each break draws its curve over the right ones") {
  const auto wrong = [](const nlohmann::json& lesson, const char* chart) {
    std::size_t count = 0;
    for (const auto& series : lesson["charts"][chart]["series"]) count += series["look"] == "wrong" ? 1 : 0;
    return count;
  };
  CHECK(wrong(quick(), "n.chart") + wrong(quick(), "d.chart") == 0);
  const nlohmann::json& rate = lesson_json("9", "same-rate");
  CHECK(wrong(rate, "n.chart") == 1);
  CHECK(value(rate, "same_rate.largest") != value(rate, "run.c48.d4.reducible"));
  const nlohmann::json& repeated = lesson_json("9", "repeated-data");
  CHECK(wrong(repeated, "d.chart") == 1);
  CHECK(value(repeated, "repeated.d1.reducible") ==
        approx(value(repeated, "run.c48.d1.reducible")).margin(1e-9));
  CHECK(value(repeated, "repeated.d16.reducible") > value(repeated, "repeated.d1.reducible"));
}

TEST_CASE("lesson 9: the quick form says so, in its command and its origin") {
  CHECK(quick()["origin"]["quick"] == true);
  CHECK(quick()["command"] == "inkling lesson 9 --quick");
  const ScalePlan full = scale_plan(false);
  CHECK(StoryRun{.layers = 4, .heads = 6, .channels = 192}.config().parameter_count() == 1890432);
  CHECK(full.sizes.back().channels == 192);
}

}  // namespace
}  // namespace inkling
