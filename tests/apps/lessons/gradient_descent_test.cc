// Lesson 5: the numbers of the documents, real runs, and the optimisers against their formulas.
#include "tests/apps/lessons/lesson.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("lesson 5: the update rule on the documents' parameters and gradients") {
  check_printed(lesson_json("5"), {{"rule.layer1.0.new2", "0.11"},
                                   {"rule.layer1.1.new2", "-0.31"},
                                   {"rule.layer1.2.new2", "0.51"},
                                   {"rule.layer2.0.new2", "0.19"},
                                   {"rule.layer2.1.new2", "0.10"},
                                   {"rule.layer2.2.new2", "-0.41"},
                                   {"rule.output.0.new2", "0.32"},
                                   {"rule.output.2.new2", "0.41"},
                                   {"rule.layer1.0.change", "0.005"},
                                   {"rule.layer1.1.change", "-0.012"},
                                   {"rule.layer1.2.change", "0.008"},
                                   {"rule.layer2.0.change", "-0.009"},
                                   {"rule.layer2.1.change", "0.004"},
                                   {"rule.output.0.change", "0.021"},
                                   {"rule.output.1.new", "-0.115"},
                                   {"rule.layer1.total", "0.050"},
                                   {"rule.layer2.total", "0.056"},
                                   {"rule.output.total", "0.085"}});
}

TEST_CASE("lesson 5: the learning-rate table") {
  check_printed(lesson_json("5"), {{"table.0.001.new", "0.500"},
                                   {"table.0.01.new", "0.502"},
                                   {"table.0.1.new", "0.520"},
                                   {"table.1.new", "0.700"},
                                   {"table.10.new", "2.500"},
                                   {"table.0.001.change3", "0.000"},
                                   {"table.0.001.change", "0.0002"},
                                   {"table.0.01.change3", "0.002"},
                                   {"table.0.1.change3", "0.020"},
                                   {"table.1.change3", "0.200"},
                                   {"table.10.change3", "2.000"}});
}

TEST_CASE("lesson 5: real runs are too slow, good and diverging") {
  const nlohmann::json& lesson = lesson_json("5");
  const double start = value(lesson, "rates.0.1.0");
  CHECK(start == approx(std::log(12.0)).margin(0.6));
  CHECK(value(lesson, "rates.0.001.100") > 0.3 * start);
  CHECK(value(lesson, "rates.0.01.100") < value(lesson, "rates.0.001.100"));
  CHECK(value(lesson, "rates.0.1.100") < 0.05);
  CHECK(lesson["numbers"]["rates.10.100"] == "NaN");
  CHECK(value(lesson, "rates.chosen.loss") == value(lesson, "rates.0.1.100"));
  check_printed(lesson, {{"simulated.5000", "1.14"}});
}

TEST_CASE("lesson 5: Adam's moments and weights follow its formulas") {
  const nlohmann::json& lesson = lesson_json("5");
  double m = 0, v = 0, weight = 0.5;
  for (int t = 1; t <= 6; ++t) {
    const std::string name = "adam." + std::to_string(t);
    const double g = value(lesson, name + ".gradient");
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    weight -= 0.001 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    CHECK(value(lesson, name + ".m") == approx(m).epsilon(1e-4));
    CHECK(value(lesson, name + ".v") == approx(v).epsilon(1e-4));
    CHECK(value(lesson, name + ".weight") == approx(weight).epsilon(1e-6));
    CHECK(value(lesson, "history.adam." + std::to_string(t)) == value(lesson, name + ".weight"));
  }
}

TEST_CASE("lesson 5: SGD, momentum and weight decay follow their formulas, too") {
  const nlohmann::json& lesson = lesson_json("5");
  double sgd = 0.5, momentum = 0.5, velocity = 0;
  for (int t = 1; t <= 6; ++t) {
    const std::string step = std::to_string(t);
    const double g = value(lesson, "adam." + step + ".gradient");
    sgd -= 0.001 * g;
    velocity = 0.9 * velocity + g;
    momentum -= 0.001 * velocity;
    CHECK(value(lesson, "history.sgd." + step) == approx(sgd).epsilon(1e-6));
    CHECK(value(lesson, "history.momentum." + step) == approx(momentum).epsilon(1e-6));
    CHECK(value(lesson, "history.adamw." + step) < value(lesson, "history.adam." + step));
  }
  CHECK(value(lesson, "surface.momentum.40") < value(lesson, "surface.sgd.40"));
}

TEST_CASE("lesson 5: without bias correction, Adam's first step is about three times as long") {
  const nlohmann::json& broken = lesson_json("5", "no-bias-correction");
  check_printed(broken, {{"history.first_step", "0.00100"}, {"history.uncorrected_step", "0.00316"}});
  CHECK(broken["charts"]["history.chart"]["series"].size() == 5);
  CHECK(lesson_json("5")["charts"]["history.chart"]["series"].size() == 4);
  CHECK(value(broken, "history.uncorrected.1") == approx(0.50316).epsilon(1e-5));
}

}  // namespace
}  // namespace inkling
