// Scaling: how much faster a run is on 2 to 64 machines, with networks of 1, 10 and 100 Gbit/s, by replay:
// the step time of one machine, which is measured, and the bytes and messages that apps/ranks/forecast.h
// predicts.
//
// Each machine computes the same batch, so N machines train on N batches in a step. "As fast as s machines"
// means that the run trains on s times the tokens per second of one machine, s = N t_1 / t_N.
//
// The table compares steps of all ranks together with local steps. Local steps send less, but each machine
// updates all weights, and not only its share. So below some bandwidth local steps are faster, and above it
// they are slower: the crossover.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "apps/preflight/probe.h"
#include "apps/ranks/forecast.h"

namespace inkling {

inline constexpr int kScalingMachines[] = {2, 4, 8, 16, 32, 64};
inline constexpr double kScalingGbits[] = {1, 10, 100};

struct Scaling {
  // As fast as this many machines, for one bandwidth.
  struct Speed {
    double gbits = 0;  // Gbit/s
    double together = 0, local_steps = 0;
  };
  struct Row {
    int machines = 0;
    std::vector<Speed> speeds;
    std::optional<double> crossover_gbits;  // below it, local steps are faster; empty: they always are
  };
  double step_seconds = 0;  // of one machine alone
  std::vector<Row> rows;
};

// `machine` is the step of one machine, and `measured` the times of its ops. If `step_seconds` is more than
// 0, it is the measured time of the step, and the times of the ops are scaled to it.
Scaling scaling(const PreflightRequest& machine, const std::vector<OpTime>& measured, const Rounds& rounds,
                double latency_seconds, double step_seconds = 0);

}  // namespace inkling
