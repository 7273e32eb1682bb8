#include "nn/layer_norms.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/update/sum_of_squares.h"

namespace inkling {

std::vector<std::string> part_names(std::int64_t layers) {
  std::vector<std::string> names = {"embeddings"};
  for (std::int64_t l = 1; l <= layers; ++l) names.push_back(str("layer_", l));
  names.push_back("last_layernorm");
  return names;
}

std::vector<LayerRange> layer_ranges(const Parameters& parameters) {
  const std::vector<Parameter>& table = parameters.table();
  const std::int64_t L = table[kLn1w].shape[0];
  std::vector<LayerRange> ranges;
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const bool stacked = is_stacked(static_cast<GPT2Tensor>(t));
    const std::int64_t slices = stacked ? L : 1, size = table[t].shape.numel() / slices;
    const std::int64_t first = stacked ? 1 : t == kWte || t == kWpe ? 0 : L + 1;
    for (std::int64_t slice = 0; slice < slices; ++slice)
      ranges.push_back({static_cast<std::size_t>(first + slice), table[t].offset + slice * size, size});
  }
  return ranges;
}

std::vector<double> norms_by_layer(const Parameters& parameters, std::span<const float> values) {
  std::vector<double> norms;
  for (const LayerRange& range : layer_ranges(parameters)) {
    norms.resize(std::max(norms.size(), range.part + 1));
    norms[range.part] += sum_of_squares(values.data() + range.offset, range.count);
  }
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

}  // namespace inkling
