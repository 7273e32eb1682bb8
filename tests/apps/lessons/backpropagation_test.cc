// Lesson 4: the gradients of the documents, nudges, and the chain rule with the lesson's own numbers.
#include "tests/apps/lessons/lesson.h"

namespace inkling {
namespace {

using namespace inkling::test;

double element(const std::string& name, int i) {
  return value(lesson_json("4"), "chain." + name + "." + std::to_string(i));
}

TEST_CASE("lesson 4: the gradient of each logit is P - target") {
  const nlohmann::json& lesson = lesson_json("4");
  check_printed(lesson, {{"error.gradient.we", "-0.851"},
                         {"error.gradient.love", "0.011"},
                         {"error.gradient.the", "0.449"},
                         {"error.gradient.hello", "0.301"},
                         {"error.gradient.is", "0.082"},
                         {"error.p.we", "0.149"},
                         {"error.sum", "0.000000"}});
  for (const char* word : {"we", "love", "deep", "learning", "the", "hello", "is", "EOS"})
    CHECK(value(lesson, std::string("error.gradient.") + word) ==
          approx(value(lesson, std::string("error.difference.") + word)).margin(1e-6));
}

TEST_CASE(
    "lesson 4: nudging a logit gives the tape's gradient, and the document's nudges follow from its rule") {
  const nlohmann::json& lesson = lesson_json("4");
  CHECK(value(lesson, "nudge.0.01.slope") == approx(value(lesson, "nudge.gradient")).margin(1e-4));
  CHECK(value(lesson, "nudge.1.error") > 100 * value(lesson, "nudge.0.01.error"));
  check_printed(
      lesson,
      {{"nudge.document", "-2.00"}, {"nudge.document.above", "1.8840"}, {"nudge.document.below", "1.9240"}});
}

TEST_CASE("lesson 4: the gradients of a small network follow the chain rule") {
  for (int i = 0; i < 3; ++i) {
    double da = 0;
    for (int o = 0; o < 4; ++o) da += element("W2", o * 3 + i) * element("dz", o);
    CHECK(element("da", i) == approx(da).margin(1e-6));
    // GELU's slope by a central difference of its definition (tanh approximation).
    const auto gelu = [](double x) {
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    };
    const double h = element("h", i), slope = (gelu(h + 1e-4) - gelu(h - 1e-4)) / 2e-4;
    CHECK(element("a", i) == approx(gelu(h)).margin(1e-5));
    CHECK(element("dh", i) == approx(element("da", i) * slope).margin(1e-5));
  }
  for (int i = 0; i < 12; ++i)
    CHECK(element("dW2", i) == approx(element("dz", i / 3) * element("a", i % 3)).margin(1e-6));
  for (int i = 0; i < 6; ++i)
    CHECK(element("dW1", i) == approx(element("dh", i / 2) * element("x", i % 2)).margin(1e-6));
}

TEST_CASE("lesson 4: the graph of the tape starts at the loss, and two nodes may run at the same time") {
  const nlohmann::json& graph = lesson_json("4")["charts"]["graph"];
  check_printed(lesson_json("4"), {{"graph.nodes", "5"}, {"graph.rows", "4"}});
  CHECK(graph["nodes"][0]["label"] == "cross_entropy");
  std::map<int, int> in_row;
  for (const auto& node : graph["nodes"]) ++in_row[node["row"].get<int>()];
  CHECK(in_row[1] == 2);
  for (const auto& edge : graph["edges"])
    CHECK(graph["nodes"][edge[0].get<std::size_t>()]["row"] <
          graph["nodes"][edge[1].get<std::size_t>()]["row"]);
}

TEST_CASE("lesson 4: gradients of four predictions add up, and without accumulation only the last counts") {
  const nlohmann::json& broken = lesson_json("4", "no-accumulation");
  check_printed(broken, {{"accumulate.1.we", "-0.851"},
                         {"accumulate.2.love", "-0.429"},
                         {"accumulate.3.deep", "-0.377"},
                         {"accumulate.4.learning", "-0.006"}});
  for (const char* word : {"we", "love", "deep", "learning", "the", "hello", "is", "EOS"}) {
    double sum = 0;
    for (int step = 1; step <= 4; ++step)
      sum += value(broken, "accumulate." + std::to_string(step) + "." + word);
    CHECK(value(broken, std::string("accumulate.sum.") + word) == approx(sum).margin(1e-6));
    CHECK(value(broken, std::string("accumulate.broken.") + word) ==
          approx(value(broken, std::string("accumulate.4.") + word)).margin(1e-6));
  }
  CHECK_FALSE(lesson_json("4")["numbers"].contains("accumulate.broken.we"));
}

}  // namespace
}  // namespace inkling
