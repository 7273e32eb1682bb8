// Lesson 8: the pass against a second GPT-2 in double, its gradients against nudges of that model, and AdamW
// by hand.
#include <cmath>

#include "apps/lessons/one_step/one_step.h"
#include "tests/apps/lessons/lesson.h"
#include "tests/nn/naive_gpt2.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr double kRounding = 2e-6;  // of values around 1, computed in float

double of(const std::string& tensor, std::size_t i, std::size_t j) {
  return value(lesson_json("8"), value_name(tensor, i, j));
}
double gradient_of(const std::string& tensor, std::size_t i, std::size_t j) {
  return value(lesson_json("8"), gradient_name(tensor, i, j));
}

std::vector<double> first_weights() {
  GPT2 model = printable_model(42);
  return as_doubles(model.parameters().values());
}

double naive_loss(const std::vector<double>& weights) {
  const Sentence sentence;
  double sum = 0;
  for (const double loss :
       NaiveGPT2(printable_model(42).config()).token_losses(weights, sentence.ids, sentence.targets))
    sum += loss;
  return sum / 4;
}

TEST_CASE("lesson 8: logits, probabilities and losses equal the numbers of a second GPT-2 in double") {
  const Sentence sentence;
  const NaiveGPT2 naive(printable_model(42).config());
  const std::vector<double> logits = naive.logits(first_weights(), sentence.ids);
  const std::vector<double> losses = naive.token_losses(first_weights(), sentence.ids, sentence.targets);
  for (std::size_t t = 0; t < 4; ++t) {
    double sum = 0, of_row = 0;
    for (std::size_t v = 0; v < 12; ++v) sum += std::exp(logits[t * 12 + v]);
    for (std::size_t v = 0; v < 12; ++v) {
      INFO(t << " " << v);
      CHECK(of("logits", t, v) == approx(logits[t * 12 + v]).margin(kRounding));
      CHECK(of("p", t, v) == approx(std::exp(logits[t * 12 + v]) / sum).margin(kRounding));
      of_row += of("p", t, v);
    }
    CHECK(of_row == approx(1.0).margin(kRounding));
    CHECK(of("losses", t, 0) == approx(losses[t]).margin(kRounding));
  }
  CHECK(value(lesson_json("8"), "loss") == approx(naive_loss(first_weights())).margin(kRounding));
}

TEST_CASE("lesson 8: the gradient of every weight is the slope of the second GPT-2's loss") {
  constexpr double kNudge = 1e-5;
  std::vector<double> weights = first_weights();
  std::size_t checked = 0;
  GPT2 model = printable_model(42);
  for (const Parameter& p : model.parameters().table()) {
    const auto columns = static_cast<std::size_t>(p.shape.back());
    for (std::size_t i = 0; i < static_cast<std::size_t>(p.shape.numel()); ++i) {
      const std::string name = gradient_name(p.name, i / columns, i % columns);
      if (!lesson_json("8")["numbers"].contains(name)) continue;  // padding of the word table
      INFO(name);
      double& w = weights[static_cast<std::size_t>(p.offset) + i];
      const double before = w;
      w = before + kNudge;
      const double above = naive_loss(weights);
      w = before - kNudge;
      const double below = naive_loss(weights);
      w = before;
      CHECK(value(lesson_json("8"), name) == approx((above - below) / (2 * kNudge)).margin(kRounding));
      ++checked;
    }
  }
  CHECK(static_cast<double>(checked) == value(lesson_json("8"), "weights"));
}

TEST_CASE("lesson 8: gradients inside the model follow the chain rule") {
  const Sentence sentence;
  for (std::size_t t = 0; t < 4; ++t) {
    CHECK(gradient_of("losses", t, 0) == 0.25);
    for (std::size_t v = 0; v < 12; ++v) {
      const double target = static_cast<std::size_t>(sentence.targets[t]) == v ? 1 : 0;
      CHECK(gradient_of("logits", t, v) == approx((of("p", t, v) - target) / 4).margin(1e-7));
      CHECK(gradient_of("p", t, v) == approx(-target / (4 * of("p", t, v))).margin(1e-5));
    }
    for (std::size_t c = 0; c < 4; ++c) {
      INFO(t << " " << c);
      CHECK(gradient_of("mlp", t, c) == gradient_of("x2", t, c));
      CHECK(gradient_of("att", t, c) == gradient_of("x1", t, c));
      CHECK(gradient_of("wpe", t, c) == gradient_of("x0", t, c));
      CHECK(of("x1", t, c) == approx(of("x0", t, c) + of("att", t, c)).margin(1e-7));
      double heads = 0, scores = 0;
      for (std::size_t o = 0; o < 4; ++o) heads += gradient_of("att", t, o) * of("attprojw", o, c);
      CHECK(gradient_of("heads", t, c) == approx(heads).margin(1e-7));
      // A query's gradient: dS K / sqrt(HS).
      for (std::size_t k = 0; k < 4; ++k)
        scores += gradient_of("scores", c / 2 * 4 + t, k) * of("qkv", k, 4 + c) / std::sqrt(2.0);
      CHECK(gradient_of("qkv", t, c) == approx(scores).margin(1e-7));
    }
  }
}

TEST_CASE("lesson 8: attention probabilities add up to 1 and are 0 ahead, and keys' biases get no gradient") {
  for (std::size_t i = 0; i < 8; ++i) {
    double sum = 0, gradients = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      sum += of("attention", i, k);
      gradients += gradient_of("scores", i, k);
      if (k > i % 4) {
        CHECK(of("attention", i, k) == 0);
        CHECK(gradient_of("scores", i, k) == 0);
      }
    }
    CHECK(sum == approx(1.0).margin(1e-6));
    CHECK(gradients == approx(0.0).margin(1e-8));
  }
  for (std::size_t c = 4; c < 8; ++c) CHECK(std::abs(gradient_of("qkvb", 0, c)) < 1e-8);
}

TEST_CASE("lesson 8: AdamW by hand gives the engine's weight and the loss after the step") {
  const nlohmann::json& lesson = lesson_json("8");
  CHECK(value(lesson, "update.sum") == approx(value(lesson, "update.1.gradient")).margin(1e-7));
  CHECK(value(lesson, "update.1.gradient") == approx(gradient_of("wte", 1, 0)).margin(1e-7));
  double m = 0, v = 0, w = of("wte", 1, 0);
  for (int t = 1; t <= 3; ++t) {
    const std::string name = "update." + std::to_string(t) + ".";
    INFO(name);
    const double g = value(lesson, name + "gradient");
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const double step = 0.01 * m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    w -= 0.01 * 0.1 * w + step;
    CHECK(value(lesson, name + "m") == approx(m).epsilon(1e-5));
    CHECK(value(lesson, name + "v") == approx(v).epsilon(1e-5));
    CHECK(value(lesson, name + "step") == approx(step).epsilon(1e-5));
    CHECK(value(lesson, name + "by_hand") == approx(w).margin(1e-6));
    CHECK(value(lesson, name + "after") == approx(w).margin(1e-6));
  }
  // The whole first step: every weight moves by the sign of its gradient times the rate.
  const OnePass pass = one_pass_of(42, Parts{});
  std::vector<double> weights = first_weights();
  GPT2 model = printable_model(42);
  for (const Parameter& p : model.parameters().table()) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(p.shape.numel()); ++i) {
      const std::size_t at = static_cast<std::size_t>(p.offset) + i;
      const auto g = static_cast<double>(pass.gradients[at]);
      weights[at] -= (p.decay ? 0.001 * weights[at] : 0) + 0.01 * g / (std::abs(g) + 1e-8);
    }
  }
  CHECK(value(lesson, "loss.1") == approx(naive_loss(weights)).margin(1e-5));
  CHECK(value(lesson, "loss.1") < value(lesson, "loss.0"));
  CHECK(value(lesson, "change.predicted") == approx(value(lesson, "change.real")).epsilon(0.2));
  CHECK(value(lesson, "loss.100") < 0.1);
}

TEST_CASE("lesson 8: the trainer's loss and gradients are the same, but for rounding") {
  CHECK(value(lesson_json("8"), "trainer.loss") < 1e-6);
  CHECK(value(lesson_json("8"), "trainer.gradient") < 1e-6);
  CHECK(value(lesson_json("8"), "loss") == approx(value(lesson_json("8"), "loss.0")).margin(1e-6));
}

TEST_CASE("lesson 8: each break draws its curve over the right one") {
  CHECK(lesson_json("8")["charts"]["loss.chart"]["series"].size() == 1);
  for (const std::string broken : {"no-residual", "no-layernorm", "no-bias-correction"}) {
    INFO(broken);
    const nlohmann::json& lesson = lesson_json("8", broken);
    const nlohmann::json& series = lesson["charts"]["loss.chart"]["series"];
    REQUIRE(series.size() == 2);
    CHECK(series[1]["look"] == "wrong");
    const bool same_model = broken == "no-bias-correction";
    CHECK((value(lesson, "broken.loss.0") == approx(value(lesson, "loss.0")).margin(1e-6)) == same_model);
    CHECK(value(lesson, "broken.loss.1") != value(lesson, "loss.1"));
  }
}

}  // namespace
}  // namespace inkling
