// The page that compares several runs.
#include <algorithm>
#include <functional>
#include <iterator>
#include <set>

#include "apps/page/markup.h"
#include "apps/report/report.h"
#include "apps/report/shell_line.h"
#include "apps/run/format.h"
#include "apps/version.h"
#include "core/error.h"

namespace inkling::report {

using namespace page;

namespace {

constexpr Look kLooks[] = {Look::main, Look::second, Look::third, Look::fourth, Look::wrong, Look::faint};
static_assert(std::size(kLooks) == kMostCompared);

// How the runs are aligned. The alignment gives the position of a step on the x axis.
struct Axis {
  const char* id;
  const char* button;
  const char* label;
  std::function<double(const RunRecord&, std::int64_t step)> at;
};

const std::vector<Axis>& axes() {
  static const std::vector<Axis> all = {
      {"step", "By steps", "step",
       [](const RunRecord&, std::int64_t step) { return static_cast<double>(step); }},
      {"tokens", "By tokens", "tokens",
       [](const RunRecord& run, std::int64_t step) { return run.tokens(step); }},
      {"time", "By time", "seconds",
       [](const RunRecord& run, std::int64_t step) { return run.seconds(step); }}};
  return all;
}

// Runs in different folders may have the same name. Then their paths tell them apart.
std::vector<std::string> labels_of(const std::vector<RunRecord>& runs) {
  std::set<std::string> names;
  for (const RunRecord& run : runs) names.insert(run.name);
  std::vector<std::string> labels;
  for (const RunRecord& run : runs) labels.push_back(names.size() == runs.size() ? run.name : run.path);
  return labels;
}

struct Kind {
  const char* id;
  const char* title;
  const char* y_label;
  bool log_y;
  std::function<Curve(const RunRecord&)> curve;
};

Curve smooth_curve(const RunRecord& run, double StepMetrics::*number) {
  const Curve curve = curve_of(run, number);
  return {curve.x, smoothed(curve.y, smoothing_window(curve.y.size()))};
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"validation", "Validation loss", "nats per token", false, validation_curve},
      {"loss", "Training loss, smoothed", "nats per token", false,
       [](const RunRecord& run) { return smooth_curve(run, &StepMetrics::loss); }},
      {"lr", "Learning rate", "learning rate", false,
       [](const RunRecord& run) { return curve_of(run, &StepMetrics::lr); }},
      {"grad_norm", "Norm of the gradient, smoothed", "norm", true,
       [](const RunRecord& run) { return smooth_curve(run, &StepMetrics::grad_norm); }},
      {"speed", "Speed, smoothed", "tokens per second", false,
       [](const RunRecord& run) { return smooth_curve(run, &StepMetrics::tokens_per_s); }}};
  return all;
}

void add_charts(Page& page, const std::vector<RunRecord>& runs, const Axis& axis) {
  const std::vector<std::string> labels = labels_of(runs);
  for (const Kind& kind : kinds()) {
    LineChart chart{.id = str(kind.id, ".", axis.id),
                    .title = kind.title,
                    .x_label = axis.label,
                    .y_label = kind.y_label,
                    .log_y = kind.log_y,
                    .toggle_log_x = true,
                    .toggle_log_y = true};
    for (std::size_t r = 0; r < runs.size(); ++r) {
      Curve curve = thinned(kind.curve(runs[r]), kMostPoints);
      for (double& x : curve.x) x = axis.at(runs[r], static_cast<std::int64_t>(x));
      if (!curve.x.empty()) chart.series.push_back({labels[r], curve.x, curve.y, kLooks[r]});
    }
    if (!chart.series.empty()) page.add(chart);
  }
}

void add_results(Page& page, const std::vector<RunRecord>& runs) {
  const std::vector<std::string> labels = labels_of(runs);
  Table table{
      .caption = "",
      .columns = {"run", "steps", "tokens", "parameters", "training loss", "validation loss", "time"}};
  double best = kNone;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const RunRecord& run = runs[r];
    const std::string prefix = str("run", r + 1, ".");
    const About count{.print = Print::count};
    const Curve losses = smooth_curve(run, &StepMetrics::loss);
    std::vector<Cell> row = {
        labels[r], page.number(prefix + "steps", COMPUTED(static_cast<double>(run.last_step())), count),
        page.number(prefix + "tokens", COMPUTED(run.tokens(run.last_step())), count),
        page.number(prefix + "parameters", COMPUTED(run.settings.model.parameter_count()), count)};
    if (losses.y.empty())
      row.push_back("");
    else
      row.push_back(
          page.number(prefix + "loss", COMPUTED(losses.y.back()), {.label = "training loss, smoothed"}));
    if (run.validations.empty())
      row.push_back("");
    else
      row.push_back(page.number(prefix + "validation", COMPUTED(run.validations.back().loss),
                                {.label = "newest validation loss"}));
    row.push_back(format_duration(run.seconds(run.last_step())));
    table.rows.push_back(row);
    if (!run.validations.empty() && !(best <= run.validations.back().loss)) {
      best = run.validations.back().loss;
      table.highlighted = static_cast<int>(r);
    }
  }
  page.heading("Results");
  if (table.highlighted >= 0) page.paragraph("The run with the lowest validation loss is marked.");
  page.add(table);
  Table verdicts{.caption = "", .columns = {"run", "state", "verdict"}};
  for (std::size_t r = 0; r < runs.size(); ++r)
    verdicts.rows.push_back({labels[r], state_of(runs[r]), verdict_on(runs[r]).headline});
  page.add(verdicts);
}

void add_differences(Page& page, const std::vector<RunRecord>& runs) {
  std::vector<nlohmann::json> settings;
  std::set<std::string> keys;
  for (const RunRecord& run : runs) {
    settings.push_back(nlohmann::json(run.settings).flatten());
    for (const auto& [key, value] : settings.back().items()) keys.insert(key);
  }
  Table table{.caption = "", .columns = {"setting"}};
  for (const std::string& label : labels_of(runs)) table.columns.push_back(verbatim(label));
  for (const std::string& key : keys) {
    const auto differs = [&](const nlohmann::json& s) {
      return s.value(key, nlohmann::json()) != settings[0].value(key, nlohmann::json());
    };
    if (key == "/precision_reason" || std::none_of(settings.begin(), settings.end(), differs)) continue;
    std::string name = key.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    std::vector<Cell> row = {name};
    for (const nlohmann::json& s : settings) {
      const nlohmann::json value = s.value(key, nlohmann::json());
      row.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
    table.rows.push_back(row);
  }
  page.heading("Settings that differ");
  if (table.rows.empty())
    page.paragraph("The runs have the same settings.");
  else
    page.add(table);
}

}  // namespace

Page comparison_page(const std::vector<RunRecord>& runs, const std::string& out) {
  if (runs.size() > kMostCompared)
    throw UsageError(str("report: got ", runs.size(), " runs, expected at most ", kMostCompared));
  Page page("Comparison of runs");
  page.lede(str(runs.size(), " runs, aligned by steps, tokens or time."));
  std::vector<std::string> words = {"inkling", "report"};
  for (const RunRecord& run : runs) {
    words.push_back(run.path);
    for (const std::string& warning : run.warnings) page.paragraph(verbatim(warning) + ".");
  }
  add_results(page, runs);
  page.heading("Curves");
  page.alternatives("curves", "Align the runs", [&] {
    for (const Axis& axis : axes()) {
      page.step(axis.button);
      add_charts(page, runs, axis);
    }
  });
  add_differences(page, runs);
  words.insert(words.end(), {"--out", out});
  page.command = shell_line(words);
  page.origin = {{"written", time_now()}, {"inkling", kVersion}};
  return page;
}

}  // namespace inkling::report
