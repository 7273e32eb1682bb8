#include <filesystem>
#include <utility>
#include <vector>

#include "apps/run/loss_chart.h"
#include "apps/run/run_directory.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

void metrics(Bytes bytes) {
  static RunDirectory run(scratch("metrics"));
  put("metrics/metrics.jsonl", bytes);
  const auto lines = run.read_metrics();
  std::vector<std::pair<std::int64_t, double>> losses;
  for (const auto& line : lines) {
    const auto step = line["step"].get<std::int64_t>();
    require(step >= 0, "metrics: steps count from 0");
    if (line.contains("loss")) losses.emplace_back(step, line["loss"].get<double>());
  }
  loss_chart(losses, 0.5, {.columns = 20});
  run.drop_metrics_after(5);
  std::size_t kept = 0;
  for (const auto& line : lines) kept += line["step"].get<std::int64_t>() <= 5;
  require(run.read_metrics().size() == kept, "metrics: lines up to the step are kept");
}

}  // namespace inkling::fuzz
