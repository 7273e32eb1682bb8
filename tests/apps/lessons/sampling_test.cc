// Lesson 7: the sampler's numbers, compared with a sampler that is written for this test, and what settings
// do.
#include <cmath>

#include "core/error.h"
#include "tests/apps/lessons/lesson.h"

namespace inkling {
namespace {

using namespace inkling::test;

const page::Live& sliders(const page::Page& page) {
  for (const page::Block& block : page.blocks()) {
    if (const auto* live = std::get_if<page::Live>(&block.content)) return *live;
  }
  throw Error("the page has no sliders");
}

// Probabilities of logits that are sorted, the largest first.
std::vector<double> sampled(const std::vector<double>& z, double T, std::size_t k, double top_p,
                            double min_p) {
  std::vector<double> p(z.size(), 0.0);
  if (T == 0) {
    p[0] = 1;
    return p;
  }
  const std::size_t n = k == 0 ? z.size() : std::min(k, z.size());
  double sum = 0, reached = 0, kept = 0;
  for (std::size_t i = 0; i < n; ++i) sum += p[i] = std::exp((z[i] - z[0]) / T);
  for (std::size_t i = 0; i < n; ++i) {
    const bool in_nucleus = top_p >= 1 || reached < top_p * sum;
    reached += p[i];
    if (!in_nucleus || p[i] < min_p * p[0]) p[i] = 0;
    kept += p[i];
  }
  for (double& share : p) share /= kept;
  return p;
}

TEST_CASE(
    "lesson 7: each setting of the sampler gives the numbers of another sampler, written for this test") {
  const page::Page page = lesson_page(lesson("7"), {});
  const nlohmann::ordered_json& data = sliders(page).data;
  const auto logits = data.at("logits").get<std::vector<double>>();
  REQUIRE(logits.size() == 498);
  CHECK(data.at("settings").size() == 11);
  for (const auto& [name, s] : data.at("settings").items()) {
    INFO(name);
    const std::vector<double> p =
        sampled(logits, s.at("temperature"), s.at("top_k"), s.at("top_p"), s.at("min_p"));
    double kept = 0, nats = 0, impossible = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (p[i] > 0) ++kept, nats -= p[i] * std::log(p[i]);
      if (data["possible"][i] == 0) impossible += p[i];
    }
    CHECK(page.at("set." + name + ".p.0").value == approx(p[0]).epsilon(1e-4));
    CHECK(page.at("set." + name + ".p.1").value == approx(p[1]).epsilon(1e-4));
    CHECK(page.at("set." + name + ".kept").value == kept);
    CHECK(page.at("set." + name + ".choices").value == approx(std::exp(nats)).epsilon(1e-4));
    CHECK(page.at("set." + name + ".impossible").value == approx(impossible).epsilon(1e-3).margin(1e-6));
  }
}

TEST_CASE("lesson 7: the distribution at the sliders' first settings is the model's own, and sums to 1") {
  const nlohmann::json& lesson = lesson_json("7");
  double sum = value(lesson, "now.rest");
  for (int rank = 0; rank < 16; ++rank) sum += value(lesson, "now.p." + std::to_string(rank));
  CHECK(sum == approx(1.0).epsilon(1e-5));
  CHECK(value(lesson, "now.p.0") == value(lesson, "set.t1.p.0"));
  check_printed(lesson, {{"now.kept", "498"},
                         {"run.vocabulary", "498"},
                         {"set.greedy.kept", "1"},
                         {"set.greedy.p.0", "1.0000"},
                         {"set.greedy.choices", "1.00"},
                         {"set.k5.kept", "5"},
                         {"set.t2k5.kept", "5"}});
}

TEST_CASE("lesson 7: a higher temperature opens the choice and makes mistakes likelier, min-p removes them") {
  const nlohmann::json& lesson = lesson_json("7");
  CHECK(value(lesson, "set.t05.choices") < value(lesson, "set.t1.choices"));
  CHECK(value(lesson, "set.t1.choices") < value(lesson, "set.t2.choices"));
  CHECK(value(lesson, "set.t05.impossible") < value(lesson, "set.t1.impossible"));
  CHECK(value(lesson, "set.t1.impossible") < 0.1);
  CHECK(value(lesson, "set.t2.impossible") > 0.2);
  CHECK(value(lesson, "set.t2m10.impossible") < value(lesson, "set.t2.impossible") / 3);
  // Texts: the same for one prompt after another draw.
  CHECK(value(lesson, "right.none.t200") < value(lesson, "right.none.t100") / 2);
  CHECK(value(lesson, "right.m10.t200") > 2 * value(lesson, "right.none.t200"));
  CHECK(value(lesson, "different.none.t10") < value(lesson, "different.none.t100") / 2);
  CHECK(value(lesson, "text.t0.1") == value(lesson, "text.t0.2"));
  CHECK(value(lesson, "text.t0.1") == value(lesson, "text.t0.3"));
  CHECK(value(lesson, "text.t0.1") > value(lesson, "text.t2.1"));
}

TEST_CASE("lesson 7: top-p and min-p keep one token where the model is sure, and many where it is not") {
  const nlohmann::json& lesson = lesson_json("7");
  for (int place = 0; place < 16; ++place) {
    const std::string name = "place." + std::to_string(place);
    INFO(name);
    CHECK(value(lesson, name + ".k") == 5);
    if (value(lesson, name + ".p") > 0.95) {
      CHECK(value(lesson, name + ".top_p") == 1);
      CHECK(value(lesson, name + ".min_p") == 1);
    }
  }
  CHECK(value(lesson, "place.2.p") > 0.95);     // there was
  CHECK(value(lesson, "place.4.top_p") >= 10);  // was a ...: 16 characters
  CHECK(value(lesson, "place.4.min_p") >= 10);
}

TEST_CASE("lesson 7: a draw takes the first token whose running sum is more than the random number") {
  const nlohmann::json& lesson = lesson_json("7");
  const double u = value(lesson, "draw.u");
  int rank = 0;
  while (value(lesson, "draw.sum." + std::to_string(rank)) <= u) ++rank;
  CHECK(value(lesson, "draw.rank") == rank + 1);
  CHECK(value(lesson, "draw.sum.4") == approx(1.0));
  for (int r = 0; r < 5; ++r) {  // four standard deviations of a share among 10,000 draws are below 0.02
    CHECK(value(lesson, "draw.share." + std::to_string(r)) ==
          approx(value(lesson, "draw.p." + std::to_string(r))).margin(0.02));
  }
}

TEST_CASE(
    "lesson 7: a temperature after softmax changes nothing, and without renormalisation the last token "
    "wins") {
  CHECK(lesson_json("7")["charts"]["temperature.chart"]["series"].size() == 1);
  CHECK(lesson_json("7")["charts"]["draw.chart"]["series"].size() == 1);
  const nlohmann::json& flat = lesson_json("7", "temperature-after-softmax");
  CHECK(value(flat, "temperature.broken.choices") == approx(value(flat, "now.choices")).epsilon(1e-4));
  REQUIRE(flat["charts"]["temperature.chart"]["series"].size() == 2);
  const nlohmann::json& wrong = flat["charts"]["temperature.chart"]["series"][1]["y"];
  CHECK(wrong.front().get<double>() == approx(wrong.back().get<double>()));
  const nlohmann::json& undivided = lesson_json("7", "no-renormalisation");
  REQUIRE(undivided["charts"]["draw.chart"]["series"].size() == 2);
  double cut_off = 1;
  for (int rank = 0; rank < 4; ++rank) cut_off -= value(undivided, "now.p." + std::to_string(rank));
  CHECK(value(undivided, "draw.broken.share") == approx(cut_off).margin(0.02));
}

}  // namespace
}  // namespace inkling
