// RunRecord: the data of a run, read from its directory for a report. The run may still be training.
//
// Reading changes nothing in the directory and needs no lock. An incomplete last line of metrics.jsonl is
// left out, and so are damaged lines; `warnings` says so. Read next: verdict.h, report.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "apps/report/session.h"
#include "apps/run/train_settings.h"

namespace inkling::report {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();  // the step has no such number

struct StepMetrics {
  std::int64_t step = 0;
  double loss = kNone, grad_norm = kNone, lr = kNone, ms = kNone, tokens_per_s = kNone;
  double seconds = 0;  // the time of all steps up to this step
};

struct ValidationMetrics {
  std::int64_t step = 0;
  double loss = 0;
  std::optional<double> min_over_rows = {}, min_over_stories = {};  // the theoretical minima
  // One norm for each of part_names() (nn/layer_norms.h). Empty in runs of older versions. grad_norms is
  // empty before the first step.
  std::vector<double> weight_norms = {}, grad_norms = {};
};

struct Sample {
  std::int64_t step = 0;
  std::string text;
};

struct RunRecord {
  std::string path;  // as the user wrote it
  std::string name;  // the last part of the path
  TrainSettings settings;
  std::vector<StepMetrics> steps;              // ordered by step
  std::vector<ValidationMetrics> validations;  // ordered by step
  std::vector<Sample> samples;                 // ordered by step
  std::optional<Session> session;              // the newest training; empty in runs of older versions
  bool is_running = false;
  double written = 0;  // when metrics.jsonl was last written, in seconds since 1970; 0: it does not exist
  std::vector<std::string> warnings;  // what was left out, one line for each file

  std::int64_t last_step() const { return steps.empty() ? 0 : steps.back().step; }
  bool is_complete() const { return last_step() >= settings.steps; }
  double tokens(std::int64_t step) const {
    return static_cast<double>(step) * static_cast<double>(settings.tokens_per_step());
  }
  double seconds(std::int64_t step) const;  // the time of all steps up to `step`
};

// Error if the directory does not hold a run, or if its config.json is damaged.
RunRecord read_run(const std::string& path);

}  // namespace inkling::report
