// The command line that starts a run with the same settings.
#pragma once

#include <string>
#include <vector>

#include "apps/run/train_settings.h"

namespace inkling::report {

// The words of `inkling train`, without "inkling" and "train": every setting that has an effect, as a flag.
std::vector<std::string> train_words(const TrainSettings& settings, const std::string& out);

// Words as one line for a shell: words with other characters than letters, digits and ._-/:=+,@% are quoted.
std::string shell_line(const std::vector<std::string>& words);
// The same in several lines, each of which but the last ends with a backslash.
std::string shell_lines(const std::vector<std::string>& words);

}  // namespace inkling::report
