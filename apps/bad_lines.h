// Bad lines of JSONL files, as tokenize, inspect and eval treat them: each one is named with its file, line
// and reason, skipped and counted. With --strict, the first one is an error.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "apps/chat/conversations.h"

namespace inkling {

CLI::Option* add_strict_flag(CLI::App& app, bool& strict);

JsonlReader::BadLines bad_lines_mode(bool strict);

// Print on stderr: a line that was skipped, and how many there were, unless there were none.
void print_bad_line(const std::string& message);
void print_bad_lines(std::int64_t count);

}  // namespace inkling
