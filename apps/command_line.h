// Parses the command line into an Action, which does the work later. Parsing opens no files and prints
// nothing.
#pragma once

#include "apps/commands.h"

namespace inkling {

// UsageError if the command line is wrong. --help also gives an Action, which prints the help.
Action parse_command_line(int argc, const char* const* argv);

}  // namespace inkling
