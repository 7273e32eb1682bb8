// Lesson 5, real runs: a small GPT learns the documents' sentence with plain gradient descent, at each rate.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "apps/lessons/gradient_descent/gradient_descent.h"
#include "apps/lessons/sentence.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "optim/sgd.h"

namespace inkling {

using namespace page;

namespace {

// The mean loss before each step, and after the last step. From the first loss that is not finite, all
// entries are NaN.
std::vector<double> losses_at(double lr, std::uint64_t seed, std::int64_t steps) {
  Sentence sentence;
  GPT2 model = sentence_model(seed);
  Sgd optimizer(segments_of(model.parameters().table()), {.momentum = 0});
  Tape tape;
  const MicroBatch batch = sentence.batch();
  std::vector<double> losses;
  try {
    for (std::int64_t step = 1; step <= steps + 1; ++step) {
      const bool last = step == steps + 1;  // the last pass only computes the loss
      losses.push_back(training_step(model, optimizer, tape, {&batch, 1},
                                     {.step = step, .lr = last ? 0 : static_cast<float>(lr)})
                           .loss);
    }
  } catch (const Diverged&) {
    losses.resize(static_cast<std::size_t>(steps) + 1, std::numeric_limits<double>::quiet_NaN());
  }
  return losses;
}

std::string rate_name(double lr) {
  std::string text = printed(lr, {.digits = 3});
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string verdict(const std::vector<double>& losses) {
  if (std::isnan(losses.back())) return "not a number any more";
  if (losses.back() > losses.front()) return "diverged";
  if (*std::max_element(losses.begin(), losses.end()) > 1.5 * losses.front())
    return "jumped up, then learned";
  if (losses.back() > 0.3 * losses.front()) return "too slow so far";
  return losses.back() > 0.05 ? "learns" : "has learned the sentence";
}

// The document's formula for its simulated table: the loss shrinks by a part that depends on the iteration.
double simulated_loss(double start) {
  for (const double iteration : {100.0, 500.0, 1000.0, 5000.0})
    start *= 1 - (0.15 + 0.1 * portable::exp(-iteration / 2000));
  return start;
}

void simulated_and_real(Page& page, const std::vector<double>& losses) {
  page.number("simulated.5000", COMPUTED(simulated_loss(2.94)),
              {.digits = 2, .formula = "the document's formula, from 2.94", .label = "simulated loss"});
  const auto total = COMPUTED(4 * losses.back());
  page.number("simulated.real", total,
              {.digits = 3,
               .formula = "four times the mean loss after 100 steps",
               .inputs = {"rates.0.1.100"},
               .label = "total loss"});
  page.correction(
      "Step-by-step journey, iterative improvement",
      "after 5000 iterations the simulated loss of the sentence is 1.14. Its section on training progress "
      "simulates 0.054.",
      "the first follows from its formula ({simulated.5000}), the second was written down; neither was "
      "measured. The real run above at the rate 0.1 has a total loss of {simulated.real} after 100 steps.");
}

}  // namespace

void learning_rates(Page& page, const LessonSettings& settings) {
  const std::int64_t steps = 100;
  page.heading("The learning rate, in real runs");
  page.paragraph(
      "A table of one step cannot say which rate is good: that depends on the shape of the loss. So here a "
      "GPT with one layer learns `we love deep learning` from random weights, 100 steps of plain gradient "
      "descent at each rate. It starts near the loss of a guess among 12 words, log 12 = 2.48.");
  Table table{.caption = "",
              .columns = {"learning rate", "loss at the start", "after 10 steps", "after 100 steps",
                          "what happened"}};
  LineChart chart{.id = "rates.chart",
                  .title = "Loss of the sentence",
                  .x_label = "step",
                  .y_label = "mean loss",
                  .toggle_log_y = true,
                  .y_min = 0.0,
                  .y_max = 6.0};
  std::vector<double> at_a_tenth;
  nlohmann::ordered_json runs = nlohmann::ordered_json::array();
  const Look looks[] = {Look::faint, Look::third, Look::main, Look::second, Look::wrong};
  const double rates[] = {0.001, 0.01, 0.1, 1, 10};
  for (std::size_t r = 0; r < std::size(rates); ++r) {
    const double lr = rates[r];
    const std::string name = "rates." + rate_name(lr);
    settings.progress("training at the learning rate " + rate_name(lr));
    const auto losses = COMPUTED(losses_at(lr, settings.seed, steps));
    const Ref rate =
        page.given(name + ".lr", lr, {.digits = 3, .formula = "a learning rate", .label = "learning rate"});
    const auto after = [&](std::int64_t step) {
      return page.number(str(name, ".", step), losses.at(step),
                         {.digits = 3,
                          .formula = str("mean loss after ", step, " steps"),
                          .inputs = {rate},
                          .label = "loss",
                          .engine = "training_step in apps/run/training_step.cc"});
    };
    table.rows.push_back({rate, after(0), after(10), after(steps), verdict(losses.value)});
    Series series{.name = rate_name(lr), .x = {}, .y = losses.value, .look = looks[r]};
    nlohmann::ordered_json y = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < losses.value.size(); ++i) {
      series.x.push_back(static_cast<double>(i));
      y.push_back(std::isfinite(losses.value[i]) ? nlohmann::ordered_json(losses.value[i])
                                                 : nlohmann::ordered_json("NaN"));
    }
    chart.series.push_back(series);
    runs.push_back({{"lr", lr}, {"losses", y}});
    if (lr == 0.1) {
      at_a_tenth = losses.value;
      page.given("rates.chosen.lr", lr, {.digits = 3, .formula = "the slider", .label = "learning rate"});
      page.number("rates.chosen.loss", losses.at(steps),
                  {.digits = 3,
                   .formula = "mean loss after 100 steps",
                   .inputs = {"rates.chosen.lr"},
                   .label = "loss"});
    }
  }
  page.add(table);
  page.add(Live{.id = "rates.slider",
                .title = "Choose a run",
                .model = "rates",
                .sliders = {{"lr", "learning rate", 0.001, 10, 1, 0.1, 3, true}},
                .data = {{"runs", runs}}});
  page.paragraph("At the rate {rates.chosen.lr}, the loss after 100 steps is {rates.chosen.loss}.");
  page.add(chart);
  simulated_and_real(page, at_a_tenth);
}

}  // namespace inkling
