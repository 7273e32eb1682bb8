#include "apps/bad_lines.h"

#include <unistd.h>

#include <iostream>

#include "apps/run/format.h"
#include "apps/run/terminal_text.h"

namespace inkling {

CLI::Option* add_strict_flag(CLI::App& app, bool& strict) {
  return app.add_flag("--strict", strict,
                      "stop at the first bad line of JSONL; default: skip bad lines and report them");
}

JsonlReader::BadLines bad_lines_mode(bool strict) {
  return strict ? JsonlReader::BadLines::fail : JsonlReader::BadLines::skip;
}

void print_bad_line(const std::string& message) {
  std::cerr << "inkling: skipped " << terminal_text(terminal(STDERR_FILENO), message) << std::endl;
}

void print_bad_lines(std::int64_t count) {
  if (count > 0) std::cerr << "inkling: skipped " << format_number_of(count, "bad line") << std::endl;
}

}  // namespace inkling
