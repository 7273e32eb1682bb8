// Lesson 5: how a gradient changes a parameter, and what the learning rate and the optimiser do.
#include "apps/lessons/gradient_descent/gradient_descent.h"

#include <array>
#include <cmath>
#include <string>

#include "apps/page/embed.h"
#include "core/error.h"
#include "optim/sgd.h"

EMBED_FILE(inkling_gradient_descent_js, "apps/lessons/gradient_descent/gradient_descent.js");

namespace inkling {

using namespace page;

std::vector<double> sgd_path(float weight, std::span<const float> gradients, const SgdRun& run) {
  Sgd optimizer({{0, 1, false, "weight"}}, {.momentum = run.momentum});
  std::vector<double> path = {static_cast<double>(weight)};
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    optimizer.step(&weight, &gradients[i], static_cast<std::int64_t>(i) + 1, static_cast<float>(run.lr),
                   1.0f);
    path.push_back(static_cast<double>(weight));
  }
  return path;
}

namespace {

constexpr const char* kJourney = "Step-by-step journey";
constexpr const char* kSgdEngine = "step in optim/sgd.cc";

// ---- The update rule, on the parameters and gradients of the documents ----

struct Layer {
  std::string name, title;
  std::array<float, 6> weights, gradients;
};
const std::vector<Layer> kLayers = {{"layer1",
                                     "layer 1",
                                     {0.1f, -0.3f, 0.5f, 0.2f, -0.1f, 0.4f},
                                     {-0.05f, 0.12f, -0.08f, 0.03f, 0.07f, -0.15f}},
                                    {"layer2",
                                     "layer 2",
                                     {0.2f, 0.1f, -0.4f, 0.6f, 0.3f, -0.2f},
                                     {0.09f, -0.04f, 0.11f, -0.18f, 0.06f, 0.08f}},
                                    {"output",
                                     "output layer",
                                     {0.3f, -0.1f, 0.4f, -0.2f, 0.5f, 0.1f},
                                     {-0.21f, 0.15f, -0.12f, 0.09f, -0.17f, 0.11f}}};

std::array<float, 6> updated(const Layer& layer) {
  std::array<float, 6> weights = layer.weights;
  Sgd optimizer({{0, 6, false, "weights"}}, {.momentum = 0});
  optimizer.step(weights.data(), layer.gradients.data(), 1, 0.1f, 1.0f);
  return weights;
}

double total_change(const std::array<float, 6>& before, const std::array<float, 6>& after) {
  double total = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    total += std::abs(static_cast<double>(after[i]) - static_cast<double>(before[i]));
  return total;
}

// A decimal number that a document gives, without the error of its rounding to f32.
double decimal(float value) {
  return std::round(1000.0 * static_cast<double>(value)) / 1000;
}

void update_layer(Page& page, const Layer& layer) {
  const auto after = COMPUTED(updated(layer));
  Table table{.caption = "learning rate 0.1", .columns = {"parameter", "old", "gradient", "change", "new"}};
  for (std::int64_t i = 0; i < 6; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::string name = str("rule.", layer.name, ".", i);
    const Ref old = page.given(name + ".old", decimal(layer.weights[at]),
                               {.digits = 2, .formula = "the document's parameter", .label = "old"});
    const Ref gradient = page.given(name + ".gradient", decimal(layer.gradients[at]),
                                    {.digits = 2, .formula = "the document's gradient", .label = "gradient"});
    const Ref now = page.number(name + ".new", after.at(i),
                                {.digits = 3,
                                 .formula = "$old - 0.1 * gradient$",
                                 .inputs = {old, gradient},
                                 .label = "new",
                                 .engine = kSgdEngine});
    page.number(name + ".new2", after.at(i),
                {.digits = 2,
                 .formula = "$old - 0.1 * gradient$",
                 .inputs = {old, gradient},
                 .label = "new, two digits",
                 .engine = kSgdEngine});
    const Ref change =
        page.number(name + ".change", after.of(after.at(i).value - static_cast<double>(layer.weights[at])),
                    {.digits = 3, .formula = "$new - old$", .inputs = {now, old}, .label = "change"});
    table.rows.push_back({std::to_string(i), old, gradient, change, now});
  }
  page.add(table);
  page.number("rule." + layer.name + ".total", COMPUTED(total_change(layer.weights, after.value)),
              {.digits = 3, .formula = "the sum of all absolute changes", .label = "total change"});
  page.paragraph("All six together moved by {rule." + layer.name + ".total}.");
}

void update_rule(Page& page) {
  page.heading("The update rule");
  page.paragraph(
      "A gradient says how the loss changes when a parameter grows. The loss should fall, so each parameter "
      "moves against its gradient. The learning rate says how far:");
  page.formula("new = old - rate * gradient");
  page.paragraph(
      "A negative gradient makes the parameter larger, a positive gradient makes it smaller. These are the "
      "documents' parameters and gradients, updated by the engine's SGD:");
  page.alternatives("rule.layers", "One step of gradient descent", [&] {
    for (const Layer& layer : kLayers) {
      page.step(layer.title);
      update_layer(page, layer);
    }
  });
  page.correction(std::string(kJourney) + ", updating parameters", "0.10 becomes 0.11, an increase by 0.005.",
                  "0.10 becomes {rule.layer1.0.new}. With two digits this is {rule.layer1.0.new2}, which "
                  "looks like an increase by 0.01.");
}

// ---- The learning rate: one step ----

void rate_table(Page& page) {
  page.heading("The learning rate, in one step");
  const Ref parameter = page.given(
      "update.parameter", 0.5, {.digits = 1, .formula = "the document's parameter", .label = "parameter"});
  page.paragraph(
      "The parameter is {update.parameter} and its gradient -0.2, so the parameter should grow. How far is "
      "one step at each rate?");
  Table table{.caption = "", .columns = {"learning rate", "new parameter", "change"}};
  const std::vector<float> gradient = {-0.2f};
  for (const double lr : {0.001, 0.01, 0.1, 1.0, 10.0}) {
    const std::string name = "table." + std::string(lr < 0.005  ? "0.001"
                                                    : lr < 0.05 ? "0.01"
                                                    : lr < 0.5  ? "0.1"
                                                    : lr < 5    ? "1"
                                                                : "10");
    const Ref rate =
        page.given(name + ".lr", lr, {.digits = 3, .formula = "a learning rate", .label = "learning rate"});
    const auto path = COMPUTED(sgd_path(0.5f, gradient, {.lr = lr}));
    const Ref now = page.number(name + ".new", path.at(1),
                                {.digits = 3,
                                 .formula = "$0.5 - rate * (-0.2)$",
                                 .inputs = {parameter, rate},
                                 .label = "new parameter",
                                 .engine = kSgdEngine});
    page.number(name + ".change3", path.of(path.at(1).value - 0.5),
                {.digits = 3, .formula = "$new - 0.5$", .inputs = {now}, .label = "change, three digits"});
    table.rows.push_back({rate, now,
                          page.number(name + ".change", path.of(path.at(1).value - 0.5),
                                      {.formula = "$new - 0.5$", .inputs = {now}, .label = "change"})});
  }
  page.add(table);
  page.correction(std::string(kJourney) + ", learning rates", "at 0.001 the change is +0.000.",
                  "it is {table.0.001.change}. A thousand such steps would move the parameter by 0.2.");
  const auto path = COMPUTED(sgd_path(0.5f, gradient, {.lr = 0.1}));
  page.given("update.lr", 0.1, {.digits = 3, .formula = "the slider", .label = "learning rate"});
  page.given("update.gradient", -0.2, {.digits = 2, .formula = "the slider", .label = "gradient"});
  page.number("update.change", path.of(path.at(1).value - 0.5),
              {.digits = 3,
               .formula = "$-rate * gradient$",
               .inputs = {"update.lr", "update.gradient"},
               .label = "change"});
  page.number("update.new", path.at(1),
              {.digits = 3,
               .formula = "$parameter - rate * gradient$",
               .inputs = {parameter, "update.lr", "update.gradient"},
               .label = "new parameter",
               .engine = kSgdEngine});
  page.add(Live{.id = "update.sliders",
                .title = "One step",
                .model = "update",
                .sliders = {{"lr", "learning rate", 0.001, 10, 0.1, 0.1, 3, true},
                            {"gradient", "gradient", -1, 1, 0.05, -0.2, 2}},
                .data = {{"parameter", 0.5}}});
  page.paragraph(
      "With the rate {update.lr} and the gradient {update.gradient}, the parameter changes by "
      "{update.change} and becomes {update.new}.");
}

void write(Page& page, const LessonSettings& settings) {
  page.script(inkling_gradient_descent_js());
  page.lede(
      "A gradient says in which direction the loss rises. Gradient descent goes the other way. How far it "
      "goes in each step decides whether a model learns.");
  update_rule(page);
  rate_table(page);
  learning_rates(page, settings);
  optimizers(page, settings);
}

}  // namespace

Lesson gradient_descent() {
  return {5,
          "Gradient descent",
          "the update rule, the learning rate, and SGD, momentum, Adam and AdamW side by side",
          {{"no-bias-correction", "Adam without the correction of m and v"}},
          write};
}

}  // namespace inkling
