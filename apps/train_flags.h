// The flags of the subcommand `inkling train`, and the settings that they change.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "apps/run/train_settings.h"
#include "core/parallel.h"

namespace inkling {

struct TrainCommand {
  TrainFlags flags;
  std::string out = "runs/stories";
  int threads = hardware_threads();
  bool threads_given = false;  // otherwise the ranks of a machine divide its CPUs
  bool resume = false, print_config = false, profile = false;
  std::string trace;
};

// Adds the flags of `inkling train` to the subcommand `train`. Parsing writes to `command`, which must live
// until parsing has finished.
void add_train_flags(CLI::App& train, TrainCommand& command);

}  // namespace inkling
