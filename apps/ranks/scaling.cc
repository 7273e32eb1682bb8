#include "apps/ranks/scaling.h"

#include <cmath>

namespace inkling {

namespace {

constexpr double kBytesPerGbit = 1e9 / 8;
constexpr double kLeastGbits = 1e-3, kMostGbits = 1e4;  // the crossover is looked for between them

}  // namespace

Scaling scaling(const PreflightRequest& machine, const std::vector<OpTime>& measured, const Rounds& rounds,
                double latency_seconds, double step_seconds) {
  const double alone = predicted_seconds(rehearse(machine), measured);
  const double scale = step_seconds > 0 ? step_seconds / alone : 1;
  Scaling result{.step_seconds = scale * alone, .rows = {}};
  for (const int machines : kScalingMachines) {
    PreflightRequest run = machine;
    run.batch_size *= machines;
    const auto seconds = [&](double gbits, const Rounds& how) {
      const RanksForecast needed = forecast(run, machines, {gbits * kBytesPerGbit, latency_seconds}, how);
      const double backward = scale * predicted_backward_seconds(needed.of_rank, measured);
      return scale * predicted_seconds(needed.of_rank, measured) + waiting_seconds(needed, backward);
    };
    Scaling::Row row{.machines = machines, .speeds = {}, .crossover_gbits = {}};
    for (const double gbits : kScalingGbits) {
      row.speeds.push_back({.gbits = gbits,
                            .together = machines * result.step_seconds / seconds(gbits, {}),
                            .local_steps = machines * result.step_seconds / seconds(gbits, rounds)});
    }
    const auto local_is_faster = [&](double gbits) { return seconds(gbits, rounds) < seconds(gbits, {}); };
    double below = kLeastGbits, above = kMostGbits;
    if (!local_is_faster(above)) {
      while (above / below > 1.01) {
        const double between = std::sqrt(below * above);
        (local_is_faster(between) ? below : above) = between;
      }
      row.crossover_gbits = above;
    }
    result.rows.push_back(row);
  }
  return result;
}

}  // namespace inkling
