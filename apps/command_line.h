// Parses the command line into an Action, a function that does the work later. Parsing opens no files and
// prints nothing.
#pragma once

#include <string>

#include "apps/commands.h"

namespace inkling {

// Returns the Action of the chosen subcommand. UsageError if the command line is wrong. For --help, the
// Action prints the help.
Action parse_command_line(int argc, const char* const* argv);

// Prints an error message on one line of stderr. A message may quote a file's name or content that contains
// line breaks or other control characters. Each line break is printed as a space.
void print_error(std::string message);

}  // namespace inkling
