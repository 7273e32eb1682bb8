// The parts of lesson 5 that are in files of their own.
#pragma once

#include <span>
#include <vector>

#include "apps/lessons/lessons.h"

namespace inkling {

// One weight under the engine's SGD: its values after each gradient of a history.
struct SgdRun {
  double lr = 0.1, momentum = 0;
};
std::vector<double> sgd_path(float weight, std::span<const float> gradients, const SgdRun& run);

// Real runs of a small GPT at the learning rates of the documents (learning_rates.cc).
void learning_rates(page::Page& page, const LessonSettings& settings);

// SGD, momentum, Adam and AdamW on one history of gradients, and on a loss surface (optimizers.cc).
void optimizers(page::Page& page, const LessonSettings& settings);

}  // namespace inkling
