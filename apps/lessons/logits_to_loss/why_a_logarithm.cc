// Lesson 2, why the loss is a logarithm: what it punishes, and what happens to products of probabilities.
#include <cmath>
#include <string>

#include "apps/lessons/logits_to_loss/logits_to_loss.h"
#include "core/portable_math.h"
#include "core/tape.h"
#include "ops/cross_entropy.h"
#include "ops/softmax.h"

namespace inkling {

using namespace page;

namespace {

float log_of(double p) {
  return static_cast<float>(portable::log(p));
}

void table_and_curve(Page& page) {
  Table table{.caption = "", .columns = {"$p$ of the right word", "$log p$", "loss $-log p$"}};
  for (const double p : {0.9, 0.5, 0.1, 0.01}) {
    const std::string name = "logarithm." + std::string(p == 0.9   ? "090"
                                                        : p == 0.5 ? "050"
                                                        : p == 0.1 ? "010"
                                                                   : "001");
    const Ref given = page.given(name + ".p", p, {.digits = 2, .formula = "a probability", .label = "p"});
    const auto loss = COMPUTED(loss_of({log_of(p), log_of(1 - p)}, 0));
    const Ref log = page.number(name + ".log", COMPUTED(-loss.value),
                                {.digits = 2, .formula = "$log p$", .inputs = {given}, .label = "log p"});
    table.rows.push_back({given, log,
                          page.number(name + ".loss", loss,
                                      {.digits = 2,
                                       .formula = "$-log p$",
                                       .inputs = {given},
                                       .label = "loss",
                                       .engine = kCrossEntropyEngine})});
  }
  page.add(table);
  Series right{.name = "-log p", .x = {}, .y = {}, .look = Look::main},
      line{.name = "1 - p", .x = {}, .y = {}, .look = Look::second};
  for (int i = 1; i <= 199; ++i) {
    const double p = i / 200.0;
    right.x.push_back(p);
    line.x.push_back(p);
    right.y.push_back(loss_of({log_of(p), log_of(1 - p)}, 0));
    line.y.push_back(1 - p);
  }
  page.add(LineChart{.id = "logarithm.curve",
                     .title = "What a probability costs",
                     .x_label = "probability of the right word",
                     .y_label = "loss",
                     .series = {right, line},
                     .toggle_log_x = true});
}

void surprise(Page& page) {
  page.given("surprise.p", 0.5, {.digits = 3, .formula = "the slider", .label = "p"});
  const auto nats = COMPUTED(loss_of({log_of(0.5), log_of(0.5)}, 0));
  const Ref n = page.number("surprise.nats", nats,
                            {.digits = 3,
                             .formula = "$-log p$",
                             .inputs = {"surprise.p"},
                             .label = "nats",
                             .engine = kCrossEntropyEngine});
  page.number("surprise.bits", COMPUTED(nats.value / portable::log(2.0)),
              {.digits = 3, .formula = "$nats / log 2$", .inputs = {n}, .label = "bits"});
  page.number("surprise.choices", COMPUTED(portable::exp(nats.value)),
              {.digits = 2, .formula = "$e^{nats} = 1 / p$", .inputs = {n}, .label = "perplexity"});
  page.add(Live{.id = "surprise.slider",
                .title = "One probability in three units",
                .model = "surprise",
                .sliders = {{"p", "probability of the right word", 0.001, 1, 0.01, 0.5, 3, true}},
                .data = {}});
  page.paragraph(
      "A probability of {surprise.p} costs {surprise.nats} nats, or {surprise.bits} bits. It is the surprise "
      "of one choice among {surprise.choices} equally likely words.");
}

// ---- Products underflow, sums of logarithms do not ----

// p * p * ... in f32, as long as it is above 0.
std::vector<double> products(float p, int n) {
  std::vector<double> all;
  float product = 1;
  for (int i = 0; i < n; ++i) all.push_back(static_cast<double>(product *= p));
  return all;
}

int first_zero(const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) return static_cast<int>(i) + 1;
  }
  return 0;
}

void underflow(Page& page) {
  page.heading("Products vanish, sums of logarithms do not");
  const double loss = page.at("softmax.loss").value;
  const auto product = COMPUTED(products(static_cast<float>(portable::exp(-loss)), 100));
  page.number("underflow.zero_at", COMPUTED(first_zero(product.value)),
              {.formula = "the first $n$ for which the product $p^n$ is 0 in f32",
               .inputs = {"softmax.p.we"},
               .label = "words until 0",
               .print = Print::count});
  page.paragraph(
      "The probability of a text is the product of the probabilities of its words. If every word had the "
      "probability of `we` above, {softmax.p.we}, then after {underflow.zero_at} words the product would be "
      "exactly 0 in 32-bit floats. The sum of the losses just grows. So training adds logarithms; it never "
      "multiplies probabilities.");
  Table table{.caption = "", .columns = {"words", "product of $p$ (f32)", "sum of $-log p$"}};
  Series multiplied{.name = "log of the f32 product", .x = {}, .y = {}, .look = Look::wrong},
      added{.name = "sum of log p", .x = {}, .y = {}, .look = Look::main};
  for (int n = 1; n <= 100; ++n) {
    multiplied.x.push_back(n);
    added.x.push_back(n);
    multiplied.y.push_back(portable::log(product.value[static_cast<std::size_t>(n - 1)]));
    added.y.push_back(-loss * n);
  }
  for (const int n : {1, 10, 20, 40, 53, 54, 55, 100}) {
    const std::string name = "underflow." + std::to_string(n);
    table.rows.push_back(
        {std::to_string(n),
         page.number(name + ".product", product.at(n - 1),
                     {.digits = 2,
                      .formula = "$p^n$ in f32",
                      .inputs = {"softmax.p.we"},
                      .label = "product",
                      .print = Print::scientific}),
         page.number(name + ".sum", COMPUTED(loss * n),
                     {.digits = 1, .formula = "$n * loss$", .inputs = {"softmax.loss"}, .label = "sum"})});
  }
  page.add(table);
  page.add(LineChart{.id = "underflow.chart",
                     .title = "The same quantity, computed in two ways",
                     .x_label = "words",
                     .y_label = "log of the probability of the text",
                     .series = {added, multiplied}});
}

// ---- --break=no-logarithm ----

// Gradient descent on the eight logits, from a bad start: p of the target is small. Returns -log p at each
// step.
std::vector<double> descend(bool with_logarithm, int steps) {
  std::vector<float> z = {-6, -0.5f, -1.2f, -2, 3.2f, 2.8f, 1.5f, -10}, dz(8);
  std::vector<double> losses;
  for (int step = 0; step <= steps; ++step) {
    losses.push_back(loss_of(z, 0));
    Tape tape;
    const Tensor logits = tape.leaf(z.data(), dz.data(), {1, 8}, LeafGradient::overwrite);
    std::int32_t target = 0;
    if (with_logarithm) {
      tape.backward(cross_entropy(tape, logits, Tensor(&target, {1}), 8));
    } else {
      const float dp[8] = {-1, 0, 0, 0, 0, 0, 0, 0};  // the derivative of 1 - p
      tape.backward_from(softmax(tape, logits), dp);
    }
    for (std::size_t i = 0; i < 8; ++i) z[i] -= dz[i];  // the learning rate is 1
  }
  return losses;
}

Series curve(std::string name, const std::vector<double>& y, Look look) {
  Series series{.name = std::move(name), .x = {}, .y = y, .look = look};
  for (std::size_t i = 0; i < y.size(); ++i) series.x.push_back(static_cast<double>(i));
  return series;
}

void without_a_logarithm(Page& page, bool broken) {
  const int steps = 60;
  page.heading("A logarithm gives the worst mistakes the strongest signal", 3);
  page.paragraph(
      "The gradient of $-log p$ with respect to the target's logit is $p - 1$: close to -1 when the model is "
      "very wrong. For the loss $1 - p$ it would be $p (p - 1)$: almost 0 when the model is very wrong, so a "
      "model that is sure of the wrong word would hardly learn. Here the logit of `we` starts at -6, and "
      "gradient descent with learning rate 1 moves all eight logits.");
  const auto right = COMPUTED(descend(true, steps));
  page.number("descent.start", right.at(0),
              {.digits = 3,
               .formula = "$-log P(we)$ with the logit -6",
               .label = "loss before",
               .engine = kCrossEntropyEngine});
  page.number("descent.end", right.at(steps),
              {.digits = 3,
               .formula = "after 60 steps on $-log p$",
               .inputs = {"descent.start"},
               .label = "loss after"});
  LineChart chart{.id = "descent.chart",
                  .title = "Gradient descent from a bad start",
                  .x_label = "step",
                  .y_label = "loss -log p",
                  .series = {curve("trained on -log p", right.value, Look::main)},
                  .y_min = 0.0};
  if (broken) {
    const auto wrong = COMPUTED(descend(false, steps));
    page.number("descent.broken.end", wrong.at(steps),
                {.digits = 3,
                 .formula = "after 60 steps on $1 - p$",
                 .inputs = {"descent.start"},
                 .label = "loss after, without the logarithm"});
    chart.series.push_back(curve("trained on 1 - p", wrong.value, Look::wrong));
  }
  page.add(chart);
  page.paragraph("The loss falls from {descent.start} to {descent.end} in 60 steps." +
                 std::string(broken ? " Trained on $1 - p$, it is still {descent.broken.end}."
                                    : " `--break=no-logarithm` shows the same descent on $1 - p$."));
}

}  // namespace

void why_a_logarithm(Page& page, const LessonSettings& settings) {
  page.heading("Why a logarithm");
  page.paragraph(
      "The loss is 0 for a probability of 1. It grows slowly at first, and without limit as the probability "
      "goes to 0.");
  table_and_curve(page);
  surprise(page);
  without_a_logarithm(page, settings.breaks("no-logarithm"));
  underflow(page);
}

}  // namespace inkling
