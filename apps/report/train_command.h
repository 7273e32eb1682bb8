// The command line that starts a run with the same settings.
#pragma once

#include <string>
#include <vector>

#include "apps/run/train_settings.h"

namespace inkling::report {

// The words of `inkling train`, without "inkling" and "train": every setting that has an effect, as a flag.
std::vector<std::string> train_words(const TrainSettings& settings, const std::string& out);

}  // namespace inkling::report
