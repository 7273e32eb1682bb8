// The parts of lesson 9, and what they share.
#pragma once

#include <string>
#include <vector>

#include "apps/lessons/lessons.h"
#include "apps/lessons/scale/runs.h"

namespace inkling {

using MeasuredRuns = page::Computed<Measurements>;

// "28,320 parameters": how a size is called.
std::string size_label(const Trained& run);
// The name of a number of a run: "run.c24.d4.loss" for 24 channels and a quarter of the data.
std::string run_name(const ScalePlan& plan, const Trained& run, const std::string& what);

// Adds the numbers of all runs to the page.
void add_runs(page::Page& page, const ScalePlan& plan, const MeasuredRuns& measured);

// Loss against parameters, data and compute (laws.cc).
void laws(page::Page& page, const ScalePlan& plan, const MeasuredRuns& measured,
          const LessonSettings& settings);

// Abilities by size and by step, and what the documents claim (skills.cc).
void skills(page::Page& page, const ScalePlan& plan, const MeasuredRuns& measured);
void claims(page::Page& page, const ScalePlan& plan, const MeasuredRuns& measured);

}  // namespace inkling
