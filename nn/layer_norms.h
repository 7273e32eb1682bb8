// The norms of a model's weights, or of their gradients, part by part: which part learns, and which part
// grows?
//
// A norm is sqrt(sum_i x_i^2) over all numbers of the part, so the square of the whole norm is the sum of the
// squares of the parts' norms. The trainer computes them at each validation (apps/run/trainer.cc).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "nn/gpt2_config.h"
#include "nn/parameters.h"

namespace inkling {

// The L + 2 parts: embeddings (wte and wpe), layer_1 .. layer_L, last_layernorm.
std::vector<std::string> part_names(std::int64_t layers);

// A range of the buffer of weights that belongs to one part.
struct LayerRange {
  std::size_t part = 0;  // an index into part_names()
  std::int64_t offset = 0, count = 0;
};

// All ranges, in the order of the buffer. A part has several ranges: one in each of its tensors.
std::vector<LayerRange> layer_ranges(const Parameters& parameters);

// The norm of each part. `values` is the model's buffer of weights or of gradients.
std::vector<double> norms_by_layer(const Parameters& parameters, std::span<const float> values);

}  // namespace inkling
