// The parts of lesson 8, and what they share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/lessons/lessons.h"
#include "apps/lessons/one_step/forward.h"

namespace inkling {

// One forward and one backward pass: everything that was computed, before the weights change.
struct OnePass {
  WatchedTensors seen;
  std::vector<float> weights, gradients;  // the model's flat buffers (nn/parameters.h)
  double loss = 0;
  page::Source weights_source = {}, backward_source = {};  // the lines that computed weights and gradients
};

OnePass one_pass_of(std::uint64_t seed, const Parts& parts);

// What --break leaves of the model.
Parts parts_of(const LessonSettings& settings);

// The names of the numbers of an element: its value and its gradient.
std::string value_name(const std::string& tensor, std::size_t i, std::size_t j);
std::string gradient_name(const std::string& tensor, std::size_t i, std::size_t j);

// {"channel 0", "channel 1", ...}
std::vector<std::string> numbered(const std::string& prefix, std::size_t count);

// Every value inside the model with its gradient, from ids to the losses (activations.cc).
void activations(page::Page& page, const OnePass& pass);

// Every weight with its gradient (weights.cc).
void weights(page::Page& page, const OnePass& pass);

// What AdamW does with one of the weights, and the losses after it (update.cc).
void update(page::Page& page, const OnePass& pass, const LessonSettings& settings);

}  // namespace inkling
