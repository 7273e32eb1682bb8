// The texts that a training run prints: its plan before the first step, and a summary after the last step
// (what the model learned, and commands to try next).
#pragma once

#include <ostream>
#include <string>

#include "apps/run/terminal.h"
#include "apps/run/trainer.h"

namespace inkling::report {

void print_plan(std::ostream& out, const TrainSettings& settings, std::int64_t first_step);
// `terminal` describes the terminal, file or pipe that `out` writes to.
void print_summary(std::ostream& out, const Terminal& terminal, const TrainSettings& settings,
                   Trainer& trainer, const std::string& directory);

}  // namespace inkling::report
