// Lesson 4: which way should each number move, and how strongly does the loss depend on it?
#include "apps/lessons/backpropagation/backpropagation.h"

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/portable_math.h"
#include "core/tape.h"
#include "ops/cross_entropy.h"
#include "ops/softmax.h"

namespace inkling {

using namespace page;

namespace {

constexpr const char* kJourney = "Step-by-step journey";

const std::vector<std::string> kWords = {"we", "love", "deep", "learning", "the", "hello", "is", "EOS"};

// The documents' logits for the four words of "we love deep learning"; target i is word i.
using Logits = std::array<float, 8>;
const std::array<Logits, 4> kLogits = {Logits{2.1f, -0.5f, -1.2f, -2.0f, 3.2f, 2.8f, 1.5f, -10.0f},
                                       Logits{-3.0f, 2.8f, -0.5f, -1.5f, 1.2f, -5.0f, 2.1f, -8.0f},
                                       Logits{-5.0f, -4.0f, 1.9f, 0.8f, 0.5f, -6.0f, -2.0f, -7.0f},
                                       Logits{-6.0f, -5.0f, -4.0f, 3.5f, -2.0f, -8.0f, -3.0f, -6.0f}};

struct LossAndGradient {
  double loss;
  std::vector<double> gradient;
};

// The loss of one prediction and, from the tape, its gradient with respect to the logits.
LossAndGradient differentiate(Logits logits, std::int32_t target) {
  Tape tape;
  Logits gradient{};
  const Tensor z = tape.leaf(logits.data(), gradient.data(), {1, 8}, LeafGradient::overwrite);
  const Tensor loss = cross_entropy(tape, z, Tensor(&target, {1}), 8);
  const auto value = static_cast<double>(loss.item());
  tape.backward(loss);
  return {value, {gradient.begin(), gradient.end()}};
}

// ---- P - target ----

void error_of_the_prediction(Page& page) {
  page.heading("The gradient of a prediction is its error");
  page.paragraph(
      "After `<BOS>` the next word was `we`. If the model had been perfect, `we` would have the probability "
      "1 and every other word 0. "
      "The gradient of the loss with respect to a logit is exactly the difference:");
  page.formula("∂loss / ∂z_i = P_i - target_i");
  Logits logits = kLogits[0];
  Tape tape(Recording::off);
  const auto p = COMPUTED(softmax(tape, Tensor(logits.data(), {1, 8})));
  const auto result = COMPUTED(differentiate(kLogits[0], 0));
  Table table{.caption = "",
              .columns = {"word", "$P$", "target", "$P - target$", "gradient from the tape"},
              .highlighted = 0};
  BarChart chart{
      .id = "error.chart", .title = "Which way each logit should not go", .x_label = "gradient of the loss"};
  std::vector<Ref> all;
  for (std::int64_t i = 0; i < 8; ++i) {
    const std::string& word = kWords[static_cast<std::size_t>(i)];
    const Ref probability = page.number("error.p." + word, p.at(i),
                                        {.digits = 3,
                                         .formula = "$e^z / sum$",
                                         .label = "P(" + word + ")",
                                         .engine = "softmax_forward in ops/softmax_simd.h"});
    const double target = i == 0 ? 1 : 0;
    const Ref difference = page.number(
        "error.difference." + word, COMPUTED(p.at(i).value - target),
        {.digits = 3, .formula = "$P - target$", .inputs = {probability}, .label = "P - target of " + word});
    const Ref gradient =
        page.number("error.gradient." + word, result.of(result.value.gradient[static_cast<std::size_t>(i)]),
                    {.digits = 3,
                     .formula = "$∂loss / ∂z$",
                     .inputs = {probability},
                     .label = "gradient of " + word,
                     .engine = kCrossEntropyGradient});
    all.push_back(gradient);
    table.rows.push_back({word, probability, i == 0 ? "1" : "0", difference, gradient});
    chart.bars.push_back({word, gradient, i == 0 ? Look::second : Look::main});
  }
  double total = 0;
  for (const double g : result.value.gradient) total += g;
  page.number("error.sum", COMPUTED(std::abs(total)),
              {.digits = 6, .formula = "the sum of all gradients", .inputs = all, .label = "sum"});
  page.add(table);
  page.add(chart);
  page.paragraph(
      "Only `we` has a negative gradient, {error.gradient.we}: raising its logit lowers the loss. Every "
      "other word is pushed down, `the` most of all. The gradients add up to {error.sum}: what one word "
      "gains, the others lose.");
}

// ---- Nudging ----

double central_difference(double h) {
  Logits up = kLogits[0], down = kLogits[0];
  up[0] += static_cast<float>(h);
  down[0] -= static_cast<float>(h);
  const double distance = static_cast<double>(up[0]) - static_cast<double>(down[0]);  // h, rounded to f32
  return (differentiate(up, 0).loss - differentiate(down, 0).loss) / distance;
}

void nudge(Page& page) {
  page.heading("Nudge a number, and look");
  page.paragraph(
      "There is a way to check a gradient that needs no calculus: make the logit of `we` a little larger and "
      "a little smaller, and compute the loss again.");
  Table table{.caption = "", .columns = {"nudge", "loss below", "loss above", "slope", "error"}};
  const auto tape = COMPUTED(differentiate(kLogits[0], 0));
  const double gradient = tape.value.gradient[0];
  for (const double h : {1.0, 0.1, 0.01, 0.001}) {
    const std::string name = str("nudge.", h == 1.0 ? "1" : h == 0.1 ? "0.1" : h == 0.01 ? "0.01" : "0.001");
    const Ref nudge =
        page.given(name, h, {.digits = 3, .formula = "the size of the nudge", .label = "nudge"});
    Logits up = kLogits[0], down = kLogits[0];
    up[0] += static_cast<float>(h);
    down[0] -= static_cast<float>(h);
    const Ref below = page.number(
        name + ".below", COMPUTED(differentiate(down, 0).loss),
        {.formula = "loss with the logit of we made smaller", .inputs = {nudge}, .label = "loss below"});
    const Ref above = page.number(
        name + ".above", COMPUTED(differentiate(up, 0).loss),
        {.formula = "loss with the logit of we made larger", .inputs = {nudge}, .label = "loss above"});
    const auto slope = COMPUTED(central_difference(h));
    const Ref s = page.number(
        name + ".slope", slope,
        {.formula = "$(above - below) / (2 * nudge)$", .inputs = {above, below, nudge}, .label = "slope"});
    table.rows.push_back({nudge, below, above, s,
                          page.number(name + ".error", COMPUTED(std::abs(slope.value - gradient)),
                                      {.digits = 1,
                                       .formula = "the distance to the gradient of the tape",
                                       .inputs = {s, "error.gradient.we"},
                                       .label = "error",
                                       .print = Print::scientific})});
  }
  page.add(table);
  Series errors{.name = "error of the slope", .x = {}, .y = {}};
  for (int i = -12; i <= 0; ++i) {
    const double h = portable::exp(i / 2.0 * portable::log(10.0));
    errors.add(h, std::max(1e-9, std::abs(central_difference(h) - gradient)));
  }
  page.add(LineChart{.id = "nudge.chart",
                     .title = "Too large a nudge is not straight, too small a nudge drowns in rounding",
                     .x_label = "nudge",
                     .y_label = "error",
                     .series = {errors},
                     .log_x = true,
                     .log_y = true,
                     .dots = true});
  page.number("nudge.gradient", tape.of(gradient),
              {.digits = 4,
               .formula = "$P(we) - 1$",
               .inputs = {"error.p.we"},
               .label = "gradient",
               .engine = kCrossEntropyGradient});
  page.paragraph(
      "The tape's gradient is {nudge.gradient}. The tape needs one pass for the gradients of all numbers; "
      "nudging needs two passes for each number.");
  const auto factor = COMPUTED((-portable::log(0.149 * 1.02) + portable::log(0.149 * 0.98)) / 0.02);
  page.number("nudge.document", factor,
              {.digits = 2,
               .formula = "$(-log(0.149 * 1.02) + log(0.149 * 0.98)) / 0.02$",
               .label = "the document's slope"});
  page.number("nudge.document.above", COMPUTED(-portable::log(0.149 * 1.02)),
              {.formula = "$-log(0.149 * 1.02)$", .label = "loss above"});
  page.number("nudge.document.below", COMPUTED(-portable::log(0.149 * 0.98)),
              {.formula = "$-log(0.149 * 0.98)$", .label = "loss below"});
  page.correction(
      std::string(kJourney) + ", what a gradient tells",
      "the gradient of a weight is about -2.00: the loss goes from 1.9038 to 1.8840 or 1.9240.",
      "those losses ({nudge.document.above}, {nudge.document.below}) and the slope {nudge.document} follow "
      "from an invented rule, in which a nudge of 0.01 multiplies the probability by 1.02. In the example "
      "itself, the gradient of the logit is {nudge.gradient}.");
}

// ---- Four predictions add up ----

// The gradients of a bias that all four predictions share: it is added to their logits. Each prediction runs
// backward on its own; `mode` says what happens to the gradients of the predictions before.
std::vector<double> shared_gradient(LeafGradient mode) {
  Logits gradient{};
  for (std::int32_t step = 0; step < 4; ++step) {
    Tape tape;
    Logits logits = kLogits[static_cast<std::size_t>(step)];
    std::int32_t target = step;
    const Tensor z =
        tape.leaf(logits.data(), gradient.data(), {1, 8}, step == 0 ? LeafGradient::overwrite : mode);
    tape.backward(cross_entropy(tape, z, Tensor(&target, {1}), 8));
  }
  return {gradient.begin(), gradient.end()};
}

void accumulate(Page& page, bool broken) {
  page.heading("Four predictions, one gradient");
  page.paragraph(
      "A sentence has several predictions, and all of them use the same weights. Suppose that each word has "
      "a bias that is added to its logit in every prediction. Each prediction wants to move it, and its "
      "gradient is the sum of these wishes.");
  Table table{.caption = "gradient of each word's bias",
              .columns = {"word", "we", "love", "deep", "learning", "sum"}};
  BarChart chart{
      .id = "accumulate.chart", .title = "The gradient of the whole sentence", .x_label = "gradient"};
  const auto sum = COMPUTED(shared_gradient(LeafGradient::accumulate));
  const auto last = COMPUTED(shared_gradient(LeafGradient::overwrite));
  if (broken) table.columns.push_back("not accumulated");
  for (std::int64_t w = 0; w < 8; ++w) {
    const auto at = static_cast<std::size_t>(w);
    std::vector<Cell> row = {kWords[at]};
    std::vector<Ref> parts;
    for (std::int32_t step = 0; step < 4; ++step) {
      const auto one = COMPUTED(differentiate(kLogits[static_cast<std::size_t>(step)], step));
      parts.push_back(page.number(str("accumulate.", step + 1, ".", kWords[at]),
                                  one.of(one.value.gradient[at]),
                                  {.digits = 3,
                                   .formula = "$P - target$",
                                   .label = "gradient of " + kWords[at],
                                   .engine = kCrossEntropyGradient}));
      row.push_back(parts.back());
    }
    const Ref total = page.number("accumulate.sum." + kWords[at], sum.at(w),
                                  {.digits = 3,
                                   .formula = "the sum of the four gradients",
                                   .inputs = parts,
                                   .label = "sum of " + kWords[at]});
    row.push_back(total);
    chart.bars.push_back({kWords[at], total});
    if (broken) {
      const Ref wrong = page.number("accumulate.broken." + kWords[at], last.at(w),
                                    {.digits = 3,
                                     .formula = "only the gradient of the last prediction",
                                     .inputs = {parts.back()},
                                     .label = "not accumulated"});
      row.push_back(wrong);
      chart.bars.push_back({kWords[at] + ", not accumulated", wrong, Look::wrong});
    }
    table.rows.push_back(row);
  }
  page.add(table);
  page.add(chart);
  page.paragraph(
      "The targets' own gradients are {accumulate.1.we}, {accumulate.2.love}, {accumulate.3.deep} and "
      "{accumulate.4.learning}: the surer the model already is, the weaker the push. The engine adds "
      "gradients up in the same way over the micro-batches of a step (`LeafGradient::accumulate`)." +
      std::string(broken ? " Without it, only the last prediction counts."
                         : " `--break=no-accumulation` shows what happens when each prediction overwrites "
                           "the gradient of the one before."));
}

void write(Page& page, const LessonSettings& settings) {
  page.lede(
      "Backpropagation computes, for every number in a model, how the loss would change if that number grew. "
      "It goes backward through the computation once, from the loss to the weights.");
  error_of_the_prediction(page);
  nudge(page);
  chain_rule(page, settings);
  accumulate(page, settings.breaks("no-accumulation"));
}

}  // namespace

Lesson backpropagation() {
  return {4,
          "Backpropagation",
          "gradients of the loss, by nudging and by the chain rule, and the graph that computes them",
          {{"no-accumulation", "each prediction overwrites the gradient of the one before"}},
          write};
}

}  // namespace inkling
