// Lesson 5, optimisers: the same gradients, four rules for what to do with them.
#include <cmath>
#include <string>

#include "apps/lessons/gradient_descent/gradient_descent.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "optim/adamw.h"
#include "optim/sgd.h"

namespace inkling {

using namespace page;

namespace {

constexpr double kRate = 0.001, kBeta1 = 0.9, kBeta2 = 0.999;  // the documents' settings of Adam

// The documents' gradients of the output layer, here as the gradients of one weight in six steps.
const std::vector<float> kHistory = {-0.21f, 0.15f, -0.12f, 0.09f, -0.17f, 0.11f};

struct AdamStep {
  double weight, m, v;
};

// One weight under the engine's AdamW: its value and its moments after each gradient.
std::vector<AdamStep> adamw_path(float weight, double lr, double weight_decay) {
  AdamW optimizer({{0, 1, true, "weight"}}, {.beta1 = kBeta1, .beta2 = kBeta2, .weight_decay = weight_decay});
  std::vector<AdamStep> path;
  for (std::size_t i = 0; i < kHistory.size(); ++i) {
    optimizer.step(&weight, &kHistory[i], static_cast<std::int64_t>(i) + 1, static_cast<float>(lr), 1.0f);
    path.push_back({static_cast<double>(weight), static_cast<double>(optimizer.m()[0]),
                    static_cast<double>(optimizer.v()[0])});
  }
  return path;
}

// Adam without bias correction: the moments m and v are used as they are.
std::vector<double> uncorrected_path(double weight, double lr) {
  double m = 0, v = 0;
  std::vector<double> path = {weight};
  for (const float g : kHistory) {
    m = kBeta1 * m + (1 - kBeta1) * static_cast<double>(g);
    v = kBeta2 * v + (1 - kBeta2) * static_cast<double>(g) * static_cast<double>(g);
    path.push_back(weight -= lr * m / (std::sqrt(v) + 1e-8));
  }
  return path;
}

double corrected(double moment, double beta, std::size_t t) {
  return moment / (1 - portable::power(beta, static_cast<std::int64_t>(t)));
}

// ---- Inside Adam: the moments, step by step ----

void inside_adam(Page& page) {
  page.given("adam.beta1", kBeta1, {.digits = 1, .formula = "setting", .label = "beta1"});
  page.given("adam.beta2", kBeta2, {.digits = 3, .formula = "setting", .label = "beta2"});
  Table table{.caption = "one weight, from 0.5, at the learning rate 0.001",
              .columns = {"$t$", "gradient", "$m$", "$v$", "corrected $m$", "corrected $v$", "weight"}};
  const auto path = COMPUTED(adamw_path(0.5f, kRate, 0.0));
  for (std::size_t i = 0; i < kHistory.size(); ++i) {
    const std::size_t t = i + 1;
    const AdamStep& step = path.value[i];
    const std::string name = str("adam.", t), before = str("adam.", t - 1);
    const Ref g = page.given(name + ".gradient", std::round(100 * static_cast<double>(kHistory[i])) / 100,
                             {.digits = 2, .formula = "a gradient of the document", .label = "gradient"});
    const auto inputs = [&](const char* moment, const char* beta) {
      std::vector<Ref> list = {g, Ref(str("adam.", beta))};
      if (t > 1) list.push_back(before + moment);
      return list;
    };
    const Ref m = page.number(name + ".m", path.of(step.m),
                              {.formula = "$β_1 * m + (1 - β_1) * g$",
                               .inputs = inputs(".m", "beta1"),
                               .label = "m",
                               .engine = "adamw_update in ops/update/adamw_simd.h"});
    const Ref v = page.number(name + ".v", path.of(step.v),
                              {.digits = 2,
                               .formula = "$β_2 * v + (1 - β_2) * g^2$",
                               .inputs = inputs(".v", "beta2"),
                               .label = "v",
                               .engine = "adamw_update in ops/update/adamw_simd.h",
                               .print = Print::scientific});
    const Ref mc =
        page.number(name + ".m_corrected", COMPUTED(corrected(step.m, kBeta1, t)),
                    {.formula = "$m / (1 - β_1^t)$", .inputs = {m, "adam.beta1"}, .label = "corrected m"});
    const Ref vc = page.number(name + ".v_corrected", COMPUTED(corrected(step.v, kBeta2, t)),
                               {.digits = 2,
                                .formula = "$v / (1 - β_2^t)$",
                                .inputs = {v, "adam.beta2"},
                                .label = "corrected v",
                                .print = Print::scientific});
    const Ref w = page.number(name + ".weight", path.of(step.weight),
                              {.digits = 5,
                               .formula = "$weight - rate * m_c / (√v_c + 10^{-8})$",
                               .inputs = {mc, vc},
                               .label = "weight",
                               .engine = "adamw_update in ops/update/adamw_simd.h"});
    table.rows.push_back({std::to_string(t), g, m, v, mc, vc, w});
  }
  page.heading("Inside Adam");
  page.paragraph(
      "Adam keeps two running means for each weight: $m$ of its gradients and $v$ of their squares. It "
      "divides one by the root of the other, so a step is about as long as the learning rate, whether "
      "gradients are large or small. Both means start at 0, which makes them too small at first. Dividing by "
      "$1 - β^t$ corrects this.");
  page.add(table);
}

// ---- One history, four rules ----

Series series_of(std::string name, const std::vector<double>& y, Look look) {
  Series series{.name = std::move(name), .x = {}, .y = y, .look = look};
  for (std::size_t i = 0; i < y.size(); ++i) series.x.push_back(static_cast<double>(i));
  return series;
}

std::vector<double> weights_of(const std::vector<AdamStep>& path) {
  std::vector<double> weights = {0.5};
  for (const AdamStep& step : path) weights.push_back(step.weight);
  return weights;
}

void add_rule(Page& page, Table& table, LineChart& chart, const std::string& name, const std::string& label,
              const Computed<std::vector<double>>& path, Look look) {
  std::vector<Cell> row = {label};
  for (std::int64_t t = 1; t <= std::ssize(kHistory); ++t)
    row.push_back(
        page.number(str("history.", name, ".", t), path.at(t),
                    {.digits = 5, .formula = str("the weight after gradient ", t), .label = label}));
  table.rows.push_back(row);
  chart.series.push_back(series_of(label, path.value, look));
}

void one_history(Page& page, bool broken) {
  page.heading("Four optimisers, one history of gradients");
  page.paragraph(
      "These gradients change their sign at every step: the weight is on the floor of a valley and jumps "
      "from wall to wall. Plain SGD follows each gradient by its full size. Momentum adds up what is left of "
      "the gradients before. AdamW also pulls the weight itself towards 0, here with a weight decay of 0.1.");
  Table table{.caption = "the weight after each of six gradients, from 0.5, at the rate 0.001",
              .columns = {"optimiser", "1", "2", "3", "4", "5", "6"}};
  LineChart chart{
      .id = "history.chart", .title = "The weight", .x_label = "step", .y_label = "weight", .dots = true};
  add_rule(page, table, chart, "sgd", "SGD", COMPUTED(sgd_path(0.5f, kHistory, {.lr = kRate, .momentum = 0})),
           Look::main);
  add_rule(page, table, chart, "momentum", "momentum",
           COMPUTED(sgd_path(0.5f, kHistory, {.lr = kRate, .momentum = 0.9})), Look::second);
  add_rule(page, table, chart, "adam", "Adam", COMPUTED(weights_of(adamw_path(0.5f, kRate, 0.0))),
           Look::third);
  add_rule(page, table, chart, "adamw", "AdamW", COMPUTED(weights_of(adamw_path(0.5f, kRate, 0.1))),
           Look::fourth);
  if (broken)
    add_rule(page, table, chart, "uncorrected", "no correction", COMPUTED(uncorrected_path(0.5, kRate)),
             Look::wrong);
  page.add(table);
  page.add(chart);
  const auto first_step = COMPUTED(std::abs(weights_of(adamw_path(0.5f, kRate, 0.0))[1] - 0.5));
  page.number("history.first_step", first_step,
              {.digits = 5, .formula = "length of Adam's first step", .label = "Adam's first step"});
  page.number("history.uncorrected_step", COMPUTED(std::abs(uncorrected_path(0.5, kRate)[1] - 0.5)),
              {.digits = 5,
               .formula = "$rate * (1 - β_1) / √(1 - β_2)$",
               .inputs = {"adam.beta1", "adam.beta2"},
               .label = "first step without correction"});
  page.paragraph(
      "Adam's first step is {history.first_step}, the learning rate itself. Without bias correction it would "
      "be {history.uncorrected_step}, about three times as long: $v$ is further from its true size than "
      "$m$." +
      std::string(broken ? "" : " `--break=no-bias-correction` draws this curve."));
}

// ---- Paths on a loss surface ----

// The loss (x^2 + 100 y^2) / 2: a long valley, 100 times steeper across than along.
constexpr float kSteep = 100;
double surface_loss(double x, double y) {
  return (x * x + static_cast<double>(kSteep) * y * y) / 2;
}

struct Path {
  std::vector<double> x, y;
};

Path walk(Optimizer& optimizer, double lr, int steps) {
  float w[2] = {-4, 1};
  Path path;
  for (int t = 0; t <= steps; ++t) {
    path.x.push_back(static_cast<double>(w[0]));
    path.y.push_back(static_cast<double>(w[1]));
    const float gradient[2] = {w[0], kSteep * w[1]};
    optimizer.step(w, gradient, t + 1, static_cast<float>(lr), 1.0f);
  }
  return path;
}

Path sgd_walk(double lr, double momentum) {
  Sgd optimizer({{0, 2, false, "w"}}, {.momentum = momentum});
  return walk(optimizer, lr, 40);
}
Path adam_walk(double lr, double weight_decay) {
  AdamW optimizer({{0, 2, true, "w"}}, {.beta1 = kBeta1, .beta2 = kBeta2, .weight_decay = weight_decay});
  return walk(optimizer, lr, 40);
}

Series contour(double loss) {
  Series ellipse{.name = "", .x = {}, .y = {}, .look = Look::faint};
  for (int i = 0; i <= 72; ++i) {
    const double angle = 2.0 * i / 72;  // in units of pi
    ellipse.x.push_back(std::sqrt(2 * loss) * portable::cos_pi(angle));
    ellipse.y.push_back(std::sqrt(2 * loss / static_cast<double>(kSteep)) *
                        portable::cos_pi(std::abs(angle - 0.5)));
  }
  return ellipse;
}

void loss_surface(Page& page) {
  page.heading("Paths on a loss surface");
  page.paragraph(
      "Two weights, and a loss that is a long valley: $(x^2 + 100 y^2) / 2$. The thin ellipses join points "
      "of the same loss. Each optimiser walks 40 steps from $x = -4, y = 1$.");
  LineChart chart{
      .id = "surface.chart", .title = "Four walks down the same valley", .x_label = "x", .y_label = "y"};
  for (const double loss : {0.5, 2.0, 8.0, 18.0}) chart.series.push_back(contour(loss));
  Table table{.caption = "",
              .columns = {"optimiser", "learning rate", "loss after 10 steps", "after 40 steps"}};
  const auto add = [&](const std::string& name, const std::string& label, double lr,
                       const Computed<Path>& path, Look look) {
    chart.series.push_back({label, path.value.x, path.value.y, look});
    const auto loss = [&](std::size_t t) {
      return page.number(str("surface.", name, ".", t),
                         path.of(surface_loss(path.value.x[t], path.value.y[t])),
                         {.digits = 3,
                          .formula = str("$(x^2 + 100 y^2) / 2$ after ", t, " steps"),
                          .label = "loss of " + label});
    };
    const Ref rate = page.given(
        "surface." + name + ".lr", lr,
        {.digits = 3, .formula = "a learning rate that suits this optimiser", .label = "learning rate"});
    table.rows.push_back({label, rate, loss(10), loss(40)});
  };
  add("sgd", "SGD", 0.018, COMPUTED(sgd_walk(0.018, 0)), Look::main);
  add("momentum", "momentum", 0.01, COMPUTED(sgd_walk(0.01, 0.8)), Look::second);
  add("adam", "Adam", 0.3, COMPUTED(adam_walk(0.3, 0)), Look::third);
  add("adamw", "AdamW", 0.3, COMPUTED(adam_walk(0.3, 0.1)), Look::fourth);
  page.add(chart);
  page.add(table);
  page.number(
      "surface.limit", COMPUTED(2.0 / static_cast<double>(kSteep)),
      {.digits = 2, .formula = "$2 / 100$, from the steepest direction", .label = "largest stable rate"});
  page.paragraph(
      "Plain SGD cannot use a rate above {surface.limit} here: across the valley, every step would then end "
      "further away than it began. Along the valley that rate is slow, and after 40 steps its loss is still "
      "{surface.sgd.40}. Momentum reaches {surface.momentum.40}, because steps in the same direction add up. "
      "Adam gives each weight a step of its own size and reaches {surface.adam.40}. AdamW also pulls both "
      "weights towards 0, which happens to be the minimum of this surface: {surface.adamw.40}.");
}

}  // namespace

void optimizers(Page& page, const LessonSettings& settings) {
  inside_adam(page);
  one_history(page, settings.breaks("no-bias-correction"));
  loss_surface(page);
}

}  // namespace inkling
