#include "apps/report/norm_charts.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "nn/layer_norms.h"

namespace inkling::report {

using namespace page;

namespace {

using Norms = std::vector<double> ValidationMetrics::*;

// The parts that a chart shows: the embeddings, and at most four layers, among them the first and the last.
std::set<std::size_t> shown_parts(std::size_t layers) {
  std::set<std::size_t> parts = {0};
  for (std::size_t i = 0; i < 4; ++i) parts.insert(1 + i * (layers - 1) / 3);
  return parts;
}

std::string label_of(std::string part) {
  std::replace(part.begin(), part.end(), '_', ' ');
  return part;
}

LineChart norm_chart(const RunRecord& run, const std::string& id, const std::string& title, Norms norms) {
  constexpr Look kLooks[] = {Look::faint, Look::main, Look::second, Look::third, Look::fourth};
  const std::int64_t L = run.settings.model.layers;
  const std::vector<std::string> names = part_names(L);
  LineChart chart{.id = id, .title = title, .x_label = "step", .y_label = "norm", .toggle_log_y = true};
  const Look* look = kLooks;
  for (const std::size_t part : shown_parts(static_cast<std::size_t>(L))) {
    Series line{.name = label_of(names[part]), .x = {}, .y = {}, .look = *look++};
    for (const ValidationMetrics& v : run.validations) {
      if ((v.*norms).empty()) continue;
      line.add(static_cast<double>(v.step), (v.*norms)[part]);
    }
    if (!line.x.empty()) chart.series.push_back(line);
  }
  return chart;
}

}  // namespace

void add_norms(Page& page, const RunRecord& run) {
  LineChart gradients =
      norm_chart(run, "grad_norms", "Norm of the gradient, by layer", &ValidationMetrics::grad_norms);
  gradients.log_y = true;
  const LineChart weights =
      norm_chart(run, "weight_norms", "Norm of the weights, by layer", &ValidationMetrics::weight_norms);
  if (gradients.series.empty() && weights.series.empty()) return;
  page.heading("Layer by layer");
  page.paragraph(
      "At each validation, the norms of the weights and of the newest gradient (before it is shortened). A "
      "layer whose gradient is far smaller than the others' learns little. Weights whose norm only grows "
      "need more `--weight-decay`.");
  if (!gradients.series.empty()) page.add(gradients);
  if (!weights.series.empty()) page.add(weights);
}

}  // namespace inkling::report
