// From the words of the command line to what they ask for. Nothing is done yet: files are not opened and
// nothing is printed.
#pragma once

#include "apps/commands.h"

namespace inkling {

// UsageError when the words are not a command line of inkling. --help is an Action too.
Action parse_command_line(int argc, const char* const* argv);

}  // namespace inkling
