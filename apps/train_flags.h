// The command line of `inkling train`: which flags there are, and what they set.
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
  bool resume = false, profile = false;
  std::string trace;
};

// Adds the flags to the subcommand `train`. Parsing writes into `command`, which must live as long.
void add_train_flags(CLI::App& train, TrainCommand& command);

}  // namespace inkling
