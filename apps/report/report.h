// The report of a run as a page, and the comparison of several runs. apps/page shows the page.
#pragma once

#include <string>
#include <vector>

#include "apps/page/page.h"
#include "apps/report/curves.h"
#include "apps/report/run_record.h"
#include "apps/report/verdict.h"

namespace inkling::report {

constexpr const char* kReportFile = "report.html";
constexpr std::size_t kMostCompared = 6;  // the most runs in a comparison: the number of colours of a chart
constexpr std::size_t kMostPoints = 800;  // the most points of a curve in a chart
constexpr int kRefreshSeconds = 10;  // the time after which a browser reloads the page of a running training
// If the training writes no newer page, the page stops reloading after this time: the least and the most
// seconds.
constexpr int kLeastStaleSeconds = 60, kMostStaleSeconds = 24 * 3600;

// While the run is training, the browser reloads the page every few seconds. If the training has not written
// a newer page for a while, the page says so and stops reloading.
page::Page run_page(const RunRecord& run);
page::Page comparison_page(const std::vector<RunRecord>& runs, const std::string& out);

Verdict verdict_on(const RunRecord& run);
// "training, step 120 of 200, about 2m10s to go"; "complete, 200 steps"; "stopped at step 120 of 200"
std::string state_of(const RunRecord& run);

// The metrics as comma-separated values (RFC 4180), one line for each step of each run, with the validation
// after the step. The first column is the run's path. The last columns are the norms of each layer.
std::string metrics_table(const std::vector<RunRecord>& runs);

// A curve of a run: one number for each step. Steps without this number are left out.
Curve curve_of(const RunRecord& run, double StepMetrics::*number);
Curve validation_curve(const RunRecord& run);

std::string time_now();  // for example 2026-01-31 12:00:00 UTC

// Replaces the file in one step, so a browser never reads an incomplete page.
void write_page(const std::string& path, const page::Page& page);

}  // namespace inkling::report
