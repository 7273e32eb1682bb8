#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/report/report.h"
#include "apps/run/perplexity.h"
#include "core/error.h"
#include "nn/layer_norms.h"

namespace inkling::report {

namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + "\"";
}

// Returns the shortest text from which the same number can be read. Returns an empty text if the step has no
// such number.
std::string field(double value) {
  return std::isfinite(value) ? nlohmann::json(value).dump() : "";
}

std::string field(const std::optional<double>& value) {
  return value ? field(*value) : "";
}

// Returns the parts (nn/layer_norms.h) of the run that has the most layers. Returns nothing if no run has
// norms.
std::vector<std::string> parts_with_norms(const std::vector<RunRecord>& runs) {
  std::int64_t layers = 0;
  for (const RunRecord& run : runs) {
    const bool has_norms = std::any_of(run.validations.begin(), run.validations.end(),
                                       [](const ValidationMetrics& v) { return !v.weight_norms.empty(); });
    if (has_norms) layers = std::max(layers, run.settings.model.layers);
  }
  return layers == 0 ? std::vector<std::string>{} : part_names(layers);
}

}  // namespace

std::string metrics_table(const std::vector<RunRecord>& runs) {
  std::string table =
      "run,step,tokens,seconds,loss,grad_norm,lr,ms,tokens_per_s,val_loss,val_perplexity,min_over_rows,"
      "min_over_stories";
  const std::vector<std::string> parts = parts_with_norms(runs);
  for (const char* norm : {",weight_norm_", ",grad_norm_"}) {
    for (const std::string& part : parts) table += norm + part;
  }
  table += "\n";
  for (const RunRecord& run : runs) {
    struct Row {
      const StepMetrics* step = nullptr;
      const ValidationMetrics* validation = nullptr;
    };
    std::map<std::int64_t, Row> rows;
    for (const StepMetrics& s : run.steps) rows[s.step].step = &s;
    for (const ValidationMetrics& v : run.validations) rows[v.step].validation = &v;
    for (const auto& [step, row] : rows) {
      const StepMetrics s = row.step != nullptr ? *row.step : StepMetrics{};
      static const ValidationMetrics none{.loss = kNone};
      const ValidationMetrics& v = row.validation != nullptr ? *row.validation : none;
      table += str(quoted(run.path), ",", step, ",", static_cast<std::int64_t>(run.tokens(step)), ",",
                   field(run.seconds(step)));
      for (const double value : {s.loss, s.grad_norm, s.lr, s.ms, s.tokens_per_s, v.loss, perplexity(v.loss)})
        table += "," + field(value);
      table += str(",", field(v.min_over_rows), ",", field(v.min_over_stories));
      const std::vector<std::string> own = part_names(run.settings.model.layers);
      for (const std::vector<double>* norms : {&v.weight_norms, &v.grad_norms}) {
        for (const std::string& part : parts) {
          const auto at = static_cast<std::size_t>(std::find(own.begin(), own.end(), part) - own.begin());
          table += "," + field(at < norms->size() ? (*norms)[at] : kNone);
        }
      }
      table += "\n";
    }
  }
  return table;
}

}  // namespace inkling::report
