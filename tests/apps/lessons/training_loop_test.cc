// Lesson 6: the documents' simulated numbers, and what real runs show.
#include "tests/apps/lessons/lesson.h"

namespace inkling {
namespace {

using namespace inkling::test;

const std::vector<std::string> kTargets = {"we", "love", "deep", "learning"};

TEST_CASE("lesson 6: the documents' simulated table, its losses and its totals") {
  const std::map<std::string, std::vector<std::string>> rows = {
      // iteration: four probabilities, four losses, the total
      {"0", {"0.149", "0.571", "0.623", "0.994", "1.901", "0.561", "0.473", "0.006", "2.941"}},
      {"50", {"0.267", "0.702", "0.731", "0.997", "1.321", "0.355", "0.313", "0.003", "1.992"}},
      {"200", {"0.456", "0.823", "0.847", "0.999", "0.785", "0.194", "0.166", "0.001", "1.146"}},
      {"500", {"0.634", "0.901", "0.923", "0.999", "0.455", "0.104", "0.080", "0.001", "0.640"}},
      {"1000", {"0.789", "0.945", "0.967", "1.000", "0.237", "0.057", "0.033", "0.000", "0.327"}},
      {"2000", {"0.892", "0.976", "0.989", "1.000", "0.115", "0.024", "0.011", "0.000", "0.150"}},
      {"5000", {"0.956", "0.993", "0.998", "1.000", "0.045", "0.007", "0.002", "0.000", "0.054"}}};
  for (const auto& [iteration, texts] : rows) {
    INFO(iteration);
    for (std::size_t w = 0; w < 4; ++w) {
      check_printed(lesson_json("6"), {{"document.p." + kTargets[w] + "." + iteration, texts[w]},
                                       {"document.loss." + kTargets[w] + "." + iteration, texts[w + 4]}});
    }
    check_printed(lesson_json("6"), {{"document.total." + iteration, texts[8]}});
  }
  check_printed(lesson_json("6"), {{"document.listed.0", "2.940"},
                                   {"document.listed.50", "1.992"},
                                   {"document.listed.200", "1.145"},
                                   {"document.listed.500", "0.686"},
                                   {"document.listed.1000", "0.327"},
                                   {"document.listed.2000", "0.150"},
                                   {"document.listed.5000", "0.054"},
                                   {"document.loss_of_702", "0.354"},
                                   {"sentence.rate", "0.01"}});
}

TEST_CASE("lesson 6: the documents' snapshots of the top predictions") {
  const std::map<std::string, std::vector<std::string>> snapshots = {
      {"0", {"0.449", "0.301", "0.149", "0.082", "0.011"}},
      {"200", {"0.456", "0.312", "0.156", "0.048", "0.028"}},
      {"1000", {"0.789", "0.134", "0.045", "0.021", "0.011"}},
      {"5000", {"0.956", "0.032", "0.008", "0.003", "0.001"}}};
  for (const auto& [iteration, texts] : snapshots) {
    for (std::size_t rank = 0; rank < 5; ++rank) {
      const std::string name = "snapshot." + iteration + "." + std::to_string(rank + 1);
      check_printed(lesson_json("6"), {{name + ".document", texts[rank]}});
      if (rank > 0)
        CHECK(value(lesson_json("6"), name + ".real") <=
              value(lesson_json("6"), "snapshot." + iteration + "." + std::to_string(rank) + ".real"));
    }
  }
}

TEST_CASE("lesson 6: a real model starts near a guess, and each probability rises to nearly 1") {
  const nlohmann::json& lesson = lesson_json("6");
  check_printed(lesson, {{"guess.p", "0.083"}, {"guess.total", "9.940"}});
  CHECK(value(lesson, "run.total.0") == approx(4 * std::log(12.0)).margin(2));
  double total = value(lesson, "run.total.0");
  for (const char* iteration : {"50", "200", "500", "1000", "2000", "5000"}) {
    double sum = 0;
    for (const std::string& word : kTargets)
      sum -= std::log(value(lesson, "run.p." + word + "." + iteration));
    INFO(iteration);
    CHECK(value(lesson, std::string("run.total.") + iteration) == approx(sum).epsilon(1e-5));
    CHECK(sum < total);
    total = sum;
  }
  for (const std::string& word : kTargets) {
    CHECK(value(lesson, "run.p." + word + ".0") < 0.2);
    CHECK(value(lesson, "run.p." + word + ".5000") > 0.99);
  }
}

TEST_CASE("lesson 6: the words at the ends are learned first, and inputs that are no targets help") {
  const nlohmann::json& lesson = lesson_json("6");
  double first = 0, other = 0;
  for (const std::string& word : kTargets) {
    first += value(lesson, "first.count." + word);
    other += value(lesson, "other.count." + word);
    CHECK(value(lesson, "other.mean." + word) < value(lesson, "first.mean." + word));
  }
  CHECK(first == approx(value(lesson, "first.starts")));
  CHECK(other == approx(value(lesson, "first.starts")));
  for (const std::string end : {"we", "learning"}) {
    for (const std::string middle : {"love", "deep"})
      CHECK(value(lesson, "first.mean." + end) < value(lesson, "first.mean." + middle));
  }
}

TEST_CASE("lesson 6: with four sentences, each probability approaches its share in the text") {
  const nlohmann::json& lesson = lesson_json("6");
  check_printed(lesson, {{"corpus.share.we", "0.250"},
                         {"corpus.share.the", "0.500"},
                         {"corpus.share.model", "0.500"},
                         {"corpus.share.learning", "1.000"},
                         {"corpus.minimum", "0.3697"}});  // (4 * 1.0397 + 2 * log 2) / 15
  for (const std::string place : {"we", "the", "model", "learning"}) {
    INFO(place);
    CHECK(value(lesson, "corpus.p." + place) == approx(value(lesson, "corpus.share." + place)).margin(0.03));
  }
  CHECK(value(lesson, "corpus.loss") > value(lesson, "corpus.minimum"));
  CHECK(value(lesson, "corpus.loss") < value(lesson, "corpus.minimum") + 0.01);
}

TEST_CASE(
    "lesson 6: a GPT on stories goes down towards the minimum over rows, and writes better and better") {
  const nlohmann::json& lesson = lesson_json("6");
  CHECK(value(lesson, "story.0.loss") == approx(value(lesson, "story.guess")).margin(0.4));
  double loss = 100;
  for (const char* step : {"0", "10", "25", "50", "100", "200", "400", "700", "1000"}) {
    INFO(step);
    const double now = value(lesson, std::string("story.") + step + ".loss");
    CHECK(now < loss);
    CHECK(now > value(lesson, "story.min_over_rows"));
    CHECK(value(lesson, std::string("story.") + step + ".above") ==
          approx(now - value(lesson, "story.min_over_rows")));
    loss = now;
  }
  CHECK(loss < 1.3 * value(lesson, "story.min_over_rows"));
  CHECK(value(lesson, "story.0.right") < 1);
  CHECK(value(lesson, "story.1000.right") > 10);
  const nlohmann::json& marks = lesson["charts"]["story.chart"]["marks"];
  CHECK(marks[0]["look"] == "minimum");
  CHECK(marks[0]["at"].get<double>() == approx(value(lesson, "story.min_over_rows")));
}

TEST_CASE("lesson 6: each break draws a wrong curve over the right one") {
  const nlohmann::json& lesson = lesson_json("6");
  const std::map<std::string, std::string> charts = {
      {"no-zero-grad", "sentence.chart"}, {"no-warmup", "warm_up.chart"}, {"no-clipping", "clip.chart"}};
  for (const auto& [broken, chart] : charts) {
    INFO(broken);
    const nlohmann::json& right = lesson["charts"][chart]["series"];
    const nlohmann::json& series = lesson_json("6", broken)["charts"][chart]["series"];
    REQUIRE(series.size() == right.size() + 1);
    CHECK(series.back()["look"] == "wrong");
  }
  const nlohmann::json& summed = lesson_json("6", "no-zero-grad");
  CHECK(value(summed, "broken.zero_grad.25") < value(summed, "run.total.25"));  // faster at first
  CHECK(value(summed, "broken.zero_grad.iteration") < 5000);
  CHECK(value(lesson_json("6", "no-warmup"), "broken.warm_up.loss") >
        1.5 * value(lesson, "warm_up.loss"));
  const nlohmann::json& unclipped = lesson_json("6", "no-clipping");
  CHECK(value(unclipped, "broken.clip.highest") > 20);
  CHECK(value(unclipped, "broken.clip.stopped") > 0);
  CHECK(value(lesson, "clip.loss") < 3);
}

}  // namespace
}  // namespace inkling
