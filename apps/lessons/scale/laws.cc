// Lesson 9, the laws: the reducible loss against parameters, data and compute.
#include <algorithm>
#include <cmath>
#include <functional>

#include "apps/lessons/scale/fits.h"
#include "apps/lessons/scale/scale.h"
#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::array<Look, 4> kLooks = {Look::main, Look::second, Look::third, Look::fourth};

using Runs = std::vector<Trained>;

Runs those(const Runs& runs, const std::function<bool(const Trained&)>& wanted) {
  Runs kept;
  std::copy_if(runs.begin(), runs.end(), std::back_inserter(kept), wanted);
  return kept;
}
Runs on_share(const Measurements& measured, std::int64_t share) {
  return those(measured.runs, [=](const Trained& run) { return run.share == share; });
}
Runs of_size(const Measurements& measured, std::size_t size) {
  return those(measured.runs, [=](const Trained& run) { return run.size == size; });
}

// The runs whose loss no cheaper run reaches.
Runs frontier(Runs runs) {
  std::sort(runs.begin(), runs.end(), [](const Trained& a, const Trained& b) { return a.flops < b.flops; });
  Runs best;
  for (const Trained& run : runs) {
    if (best.empty() || run.exam.loss < best.back().exam.loss) best.push_back(run);
  }
  return best;
}

std::vector<double> column(const Runs& runs, const std::function<double(const Trained&)>& of) {
  std::vector<double> values;
  for (const Trained& run : runs) values.push_back(of(run));
  return values;
}
double parameters(const Trained& run) {
  return static_cast<double>(run.parameters);
}
double tokens(const Trained& run) {
  return static_cast<double>(run.tokens);
}
double flops(const Trained& run) {
  return run.flops;
}
double loss(const Trained& run) {
  return run.exam.loss;
}
double reducible(const Trained& run) {
  return run.reducible;
}

std::string share_label(std::int64_t share) {
  return share == 1 ? "all the data" : str("1/", share, " of the data");
}

std::vector<Ref> refs(const ScalePlan& plan, const Runs& runs, const std::vector<std::string>& whats) {
  std::vector<Ref> all;
  for (const Trained& run : runs) {
    for (const std::string& what : whats) all.push_back(run_name(plan, run, what));
  }
  return all;
}

// Adds a fit to the page: its exponent and how well the line fits.
void add_law(Page& page, const std::string& name, const Computed<PowerLaw>& law, const std::string& of,
             const std::vector<Ref>& inputs) {
  page.number(name + ".exponent", law.of(law.value.exponent),
              {.digits = 3,
               .formula = "the slope of the line through the logarithms",
               .inputs = inputs,
               .label = "exponent for " + of});
  page.number(name + ".r2", law.of(law.value.r2),
              {.digits = 4,
               .formula = "$r^2$ of the line: 1 means that all points are on it",
               .inputs = inputs,
               .label = "r2 for " + of});
}

Series line_of(const std::string& name, const PowerLaw& law, const std::vector<double>& x) {
  Series line{.name = name, .x = {}, .y = {}, .look = Look::faint};
  for (const double at : {*std::min_element(x.begin(), x.end()), *std::max_element(x.begin(), x.end())}) {
    line.add(at, law.at(at));
  }
  return line;
}

// ---- The known minimum ----

void table_of_sizes(Page& page, const ScalePlan& plan, const Measurements& measured) {
  Table table{.caption = "each size, with as much data as it gets",
              .columns = {"parameters", "layers", "channels", "tokens", "loss", "reducible"}};
  for (std::size_t size = 0; size < plan.sizes.size(); ++size) {
    const Trained& run = measured.longest(size);
    const auto number = [&](const char* what) { return Cell(Ref(run_name(plan, run, what))); };
    table.rows.push_back({number("parameters"), std::to_string(plan.sizes[size].layers),
                          std::to_string(plan.sizes[size].channels), number("tokens"), number("loss"),
                          number("reducible")});
  }
  page.heading("A loss that can be reduced, and one that cannot");
  page.paragraph(
      "A grammar wrote the stories, so the lowest possible loss is known exactly. On the rows of the exam "
      "this minimum is {exam.min_over_rows}: the surprise that is left when everything is known. (Over the "
      "whole stories from which the rows are cut, it is {exam.min_over_stories}.) The part of the loss above "
      "the minimum over rows is the *reducible* loss: what a model has not learned yet.");
  page.add(table);
  page.paragraph(
      "All models start from random weights and read the same stories in the same order, each story once. A "
      "training that would cost too much for a lesson is left out, so the largest models get less data. The "
      "learning rate falls with the root of the width.");
}

// ---- Parameters ----

void by_parameters(Page& page, const ScalePlan& plan, const Measurements& measured,
                   const LessonSettings& settings) {
  page.heading("Loss against parameters");
  const Runs runs = on_share(measured, plan.compared);
  const std::vector<double> n = column(runs, parameters);
  const auto law = COMPUTED(fit_power_law(n, column(runs, reducible)));
  const auto raw = COMPUTED(fit_power_law(n, column(runs, loss)));
  add_law(page, "law.n", law, "parameters", refs(plan, runs, {"parameters", "reducible"}));
  add_law(page, "law.n.raw", raw, "parameters, raw loss", refs(plan, runs, {"parameters", "loss"}));
  LineChart chart{.id = "n.chart",
                  .title = "Reducible loss by size, for several shares of the data",
                  .x_label = "parameters",
                  .y_label = "loss above the minimum",
                  .log_x = true,
                  .log_y = true,
                  .dots = true};
  for (std::size_t s = 0; s < plan.shares.size(); ++s) {
    const Runs of_share = on_share(measured, plan.shares[s]);
    chart.series.push_back({share_label(plan.shares[s]), column(of_share, parameters),
                            column(of_share, reducible), kLooks[s % kLooks.size()]});
  }
  if (settings.breaks("same-rate")) {
    const auto wrong = COMPUTED(measure_same_rate(plan, settings));
    chart.series.push_back({str("one rate, ", share_label(plan.compared)), column(wrong.value, parameters),
                            column(wrong.value, reducible), Look::wrong});
    page.number("same_rate.largest", wrong.of(wrong.value.back().reducible),
                {.formula = "the reducible loss of the largest model at the rate of the smallest",
                 .label = "largest model, same rate"});
    page.add(chart);
    page.paragraph(str(
        "At the rate of the smallest model, the largest one has a reducible loss of {same_rate.largest} on ",
        share_label(plan.compared), ". At its own rate it has {", run_name(plan, runs.back(), "reducible"),
        "}. A comparison of sizes is only fair if each size is trained well."));
  } else {
    page.add(chart);
  }
  page.paragraph(str(
      "Both axes are logarithmic, so a power law is a straight line. From the same stories a larger model "
      "learns more, but the gain is not endless: on ",
      share_label(plan.compared), " the two largest reach {",
      run_name(plan, runs[runs.size() - 2], "reducible"), "} and {", run_name(plan, runs.back(), "reducible"),
      "}. Over all sizes the exponent is {law.n.exponent} ($r^2$ = {law.n.r2}). The loss itself, with the "
      "minimum in it, is further from a line ($r^2$ = {law.n.raw.r2})."));
}

// ---- Data ----

void by_data(Page& page, const ScalePlan& plan, const Measurements& measured,
             const LessonSettings& settings) {
  page.heading("Loss against data");
  const Runs studied = of_size(measured, plan.studied);
  const auto law = COMPUTED(fit_power_law(column(studied, tokens), column(studied, reducible)));
  add_law(page, "law.d", law, "data", refs(plan, studied, {"tokens", "reducible"}));
  LineChart chart{.id = "d.chart",
                  .title = "Reducible loss by data, for several sizes",
                  .x_label = "training tokens",
                  .y_label = "loss above the minimum",
                  .log_x = true,
                  .log_y = true,
                  .dots = true};
  for (std::size_t size = 0; size < plan.sizes.size(); ++size) {
    const Runs runs = of_size(measured, size);
    const Look look = size == plan.studied ? Look::main : size == 0 ? Look::second : Look::faint;
    chart.series.push_back({size_label(runs.front()), column(runs, tokens), column(runs, reducible), look});
  }
  if (settings.breaks("repeated-data")) {
    const auto wrong = COMPUTED(measure_repeated(plan, settings));
    chart.series.push_back(
        {"repeated", column(wrong.value, tokens), column(wrong.value, reducible), Look::wrong});
    for (const Trained& run : wrong.value) {
      page.number(str("repeated.d", run.share, ".reducible"), wrong.of(run.reducible),
                  {.formula = str("the reducible loss after all steps on ", share_label(run.share)),
                   .label = "reducible loss, repeated"});
    }
    page.add(chart);
    page.paragraph(
        str("The dotted line takes as many steps as the longest training, but on the same stories again and "
            "again. On ",
            share_label(plan.shares.front()), " its reducible loss is {repeated.d", plan.shares.front(),
            ".reducible}: it knows those stories by heart, and no others. Data cannot be replaced by "
            "steps."));
  } else {
    page.add(chart);
  }
  const Runs smallest = of_size(measured, 0);
  const auto last = [](const Runs& all) { return Runs(all.end() - 2, all.end()); };
  const auto end_of = [&](const Runs& all) {
    return fit_power_law(column(last(all), tokens), column(last(all), reducible));
  };
  page.number("law.d.end", COMPUTED(end_of(studied).exponent),
              {.digits = 2,
               .formula = "the slope between the last two points",
               .inputs = refs(plan, last(studied), {"tokens", "reducible"}),
               .label = "slope at the end"});
  page.number("law.d.end.smallest", COMPUTED(end_of(smallest).exponent),
              {.digits = 2,
               .formula = "the slope between the last two points of the smallest model",
               .inputs = refs(plan, last(smallest), {"tokens", "reducible"}),
               .label = "slope of the smallest model at the end"});
  page.paragraph(
      str("For the model with {", run_name(plan, studied.front(), "parameters"),
          "} parameters the exponent is {law.d.exponent} ($r^2$ = {law.d.r2}). Look at the last four times "
          "of data: its exponent there is {law.d.end}, that of the smallest model {law.d.end.smallest}. A "
          "line that bends upwards belongs to a model that has no room for more."));
}

// ---- Compute ----

void by_compute(Page& page, const ScalePlan& plan, const Measurements& measured) {
  page.heading("Loss against compute: the reducible loss as a line");
  const Runs best = frontier(measured.runs);
  const std::vector<double> c = column(best, flops);
  const auto law = COMPUTED(fit_power_law(c, column(best, reducible)));
  const auto raw = COMPUTED(fit_power_law(c, column(best, loss)));
  const auto guessed = COMPUTED(fit_floor(c, column(best, loss)));
  add_law(page, "law.c", law, "compute", refs(plan, best, {"flops", "reducible"}));
  add_law(page, "law.c.raw", raw, "compute, raw loss", refs(plan, best, {"flops", "loss"}));
  page.number("law.c.floor", guessed.of(guessed.value.floor),
              {.formula = "the floor that makes the logarithms of loss - floor most nearly a line",
               .inputs = refs(plan, best, {"flops", "loss"}),
               .label = "floor, fitted"});
  LineChart chart{.id = "c.chart",
                  .title = "Reducible loss by compute: every dot is a training",
                  .x_label = "FLOP",
                  .y_label = "loss above the minimum",
                  .log_x = true,
                  .log_y = true,
                  .dots = true};
  chart.series.push_back({"best for its compute", c, column(best, reducible), Look::main});
  for (std::size_t size = 0; size < plan.sizes.size(); ++size) {
    const Runs runs = of_size(measured, size);
    chart.series.push_back(
        {size_label(runs.front()), column(runs, flops), column(runs, reducible), Look::faint});
  }
  chart.series.push_back(line_of("power law", law.value, c));
  chart.series.back().look = Look::second;
  page.add(chart);
  LineChart raw_chart{.id = "c.raw.chart",
                      .title = "The same losses without subtracting the minimum",
                      .x_label = "FLOP",
                      .y_label = "loss",
                      .series = {{"best for its compute", c, column(best, loss), Look::main}},
                      .marks = {{'y', measured.min_over_rows, "minimum over rows", Look::minimum}},
                      .log_x = true,
                      .log_y = true,
                      .dots = true};
  page.add(raw_chart);
  page.paragraph(
      "Compute is parameters times data: 6 FLOP for each weight and token. For each budget one training is "
      "the best. Through these, the reducible loss follows a power law with the exponent {law.c.exponent} "
      "($r^2$ = {law.c.r2}). The loss itself bends towards its minimum ($r^2$ = {law.c.raw.r2}).");
  page.paragraph(
      "For real text nobody knows the minimum. It is then guessed as the floor that makes the line "
      "straightest. Here that guess can be checked: it gives {law.c.floor}; the exact minimum over rows is "
      "{exam.min_over_rows} (over whole stories {exam.min_over_stories}).");
}

// ---- Both ----

double mean_error(const TwoPowerLaws& law, const Runs& runs) {
  double sum = 0;
  for (const Trained& run : runs) sum += std::abs(law.at(parameters(run), tokens(run)) / run.reducible - 1);
  return sum / static_cast<double>(runs.size());
}

TwoPowerLaws fit_both(const Runs& runs) {
  return fit_two_power_laws(column(runs, parameters), column(runs, tokens), column(runs, reducible));
}

void both(Page& page, const ScalePlan& plan, const Measurements& measured) {
  page.heading("Parameters and data together");
  Runs others = measured.runs;
  const auto costliest = std::max_element(
      others.begin(), others.end(), [](const Trained& a, const Trained& b) { return a.flops < b.flops; });
  const Trained last = *costliest;
  others.erase(costliest);
  const auto law = COMPUTED(fit_both(measured.runs));
  const auto without = COMPUTED(fit_both(others));
  const std::vector<Ref> inputs = refs(plan, measured.runs, {"parameters", "tokens", "reducible"});
  page.number("joint.alpha", law.of(law.value.alpha),
              {.digits = 3, .formula = "the exponent of parameters", .inputs = inputs, .label = "alpha"});
  page.number("joint.beta", law.of(law.value.beta),
              {.digits = 3, .formula = "the exponent of data", .inputs = inputs, .label = "beta"});
  page.number("joint.error", COMPUTED(100 * mean_error(law.value, measured.runs)),
              {.digits = 0,
               .formula = "the mean distance from the measured reducible losses, in %",
               .inputs = {"joint.alpha", "joint.beta"},
               .label = "mean error in %"});
  page.number("joint.share", COMPUTED(law.value.beta / (law.value.alpha + law.value.beta)),
              {.digits = 2,
               .formula = "$β / (α + β)$",
               .inputs = {"joint.alpha", "joint.beta"},
               .label = "growth of the best size"});
  page.number("joint.predicted", COMPUTED(without.value.at(parameters(last), tokens(last))),
              {.formula = "the law, fitted to all other runs", .label = "predicted reducible loss"});
  page.formula("loss = minimum + A / N^{α} + B / D^{β}");
  page.paragraph(
      "Hoffmann et al. (2022) described losses with this law for $N$ parameters and $D$ tokens. With the "
      "exact minimum, all runs of this page give $α$ = {joint.alpha} and $β$ = {joint.beta}; on average the "
      "law misses a reducible loss by {joint.error}%. It says that with more compute the best size grows "
      "like its power {joint.share}.");
  page.paragraph(
      str("Does it predict? Fitted without the costliest run, it promises that run a reducible loss of "
          "{joint.predicted}. Measured: {",
          run_name(plan, last, "reducible"), "}."));
}

}  // namespace

void laws(Page& page, const ScalePlan& plan, const MeasuredRuns& measured, const LessonSettings& settings) {
  table_of_sizes(page, plan, measured.value);
  by_parameters(page, plan, measured.value, settings);
  by_data(page, plan, measured.value, settings);
  by_compute(page, plan, measured.value);
  both(page, plan, measured.value);
}

}  // namespace inkling
