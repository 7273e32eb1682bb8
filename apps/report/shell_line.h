// Command lines that can be copied into a shell, whatever characters their words have.
#pragma once

#include <string>
#include <vector>

namespace inkling::report {

// Words as one line for a shell: words with other characters than letters, digits and ._-/:=+,@% are quoted.
std::string shell_line(const std::vector<std::string>& words);
// The same in several lines, each of which but the last ends with a backslash.
std::string shell_lines(const std::vector<std::string>& words);

}  // namespace inkling::report
