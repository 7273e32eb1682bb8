#include "nn/layer_norms.h"

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

std::vector<double> norms_by_layer(const Parameters& parameters, std::span<const float> values) {
  const std::vector<Parameter>& table = parameters.table();
  const std::int64_t L = table[kLn1w].shape[0];
  std::vector<double> norms(static_cast<std::size_t>(L + 2));
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const bool stacked = is_stacked(static_cast<GPT2Tensor>(t));
    const std::int64_t parts = stacked ? L : 1, size = table[t].shape.numel() / parts;
    const std::size_t first = stacked ? 1 : t == kWte || t == kWpe ? 0 : norms.size() - 1;
    for (std::int64_t part = 0; part < parts; ++part) {
      norms[first + static_cast<std::size_t>(part)] +=
          sum_of_squares(values.data() + table[t].offset + part * size, size);
    }
  }
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

}  // namespace inkling
