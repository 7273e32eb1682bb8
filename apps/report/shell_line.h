// Command lines that can be copied into a shell, whatever characters their words have.
#pragma once

#include <string>
#include <vector>

namespace inkling::report {

// Returns the words as one line for a shell. Words with other characters than letters, digits and ._-/:=+,@%
// are quoted.
std::string shell_line(const std::vector<std::string>& words);
// Returns the words as several lines. Each line except the last ends with a backslash.
std::string shell_lines(const std::vector<std::string>& words);

}  // namespace inkling::report
