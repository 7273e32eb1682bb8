#include "nn/gpt2_config.h"

#include "core/error.h"

namespace inkling {

GPT2Config GPT2Config::named(const std::string& name) {
  GPT2Config config;
  const auto size = [&](std::int64_t L, std::int64_t NH, std::int64_t C) {
    config.layers = L, config.heads = NH, config.channels = C;
    return config;
  };
  if (name == "gpt2:d12") return size(12, 12, 768);
  if (name == "gpt2:d24") return size(24, 16, 1024);
  if (name == "gpt2:d36") return size(36, 20, 1280);
  if (name == "gpt2:d48") return size(48, 25, 1600);
  fail("the name of the model is ", name, ", expected gpt2:d12, gpt2:d24, gpt2:d36 or gpt2:d48");
}

void GPT2Config::check(const std::string& where) const {
  const auto positive = [&](const char* what, std::int64_t value) {
    if (value < 1 || value > kMostDim) fail(where, ": ", what, " is ", value, ", expected 1 to ", kMostDim);
  };
  positive("max sequence length (maxT)", max_seq_len);
  positive("vocabulary size (V)", vocab_size);
  positive("number of layers (L)", layers);
  positive("number of heads (NH)", heads);
  positive("number of channels (C)", channels);
  if (channels % heads != 0) {
    fail(where, ": number of channels (C) is ", channels,
         ", expected a multiple of the number of heads (NH), which is ", heads);
  }
  constexpr double kMostParameters = 1e12;
  const double C = static_cast<double>(channels);
  const double estimate =
      static_cast<double>(padded_vocab_size() + max_seq_len) * C + static_cast<double>(layers) * 12 * C * C;
  if (estimate > kMostParameters)
    fail(where, ": the model would have ", estimate, " parameters, expected at most 1e12");
}

std::int64_t GPT2Config::parameter_count() const {
  std::int64_t count = 0;
  for (const ParameterSpec& spec : gpt2_parameters(*this)) count += spec.shape.numel();
  return count;
}

double GPT2Config::training_flops_per_token(std::int64_t T) const {
  return 6.0 * static_cast<double>(parameter_count()) + 6.0 * static_cast<double>(layers * channels * T);
}

std::vector<ParameterSpec> gpt2_parameters(const GPT2Config& config) {
  const std::int64_t L = config.layers, C = config.channels;
  return {
      {"wte", {config.padded_vocab_size(), C}, true, "embeddings"},
      {"wpe", {config.max_seq_len, C}, true, "embeddings"},
      {"ln1w", {L, C}, false, "norms"},
      {"ln1b", {L, C}, false, "norms"},
      {"qkvw", {L, 3 * C, C}, true, "attention"},
      {"qkvb", {L, 3 * C}, false, "attention"},
      {"attprojw", {L, C, C}, true, "attention"},
      {"attprojb", {L, C}, false, "attention"},
      {"ln2w", {L, C}, false, "norms"},
      {"ln2b", {L, C}, false, "norms"},
      {"fcw", {L, 4 * C, C}, true, "mlp"},
      {"fcb", {L, 4 * C}, false, "mlp"},
      {"fcprojw", {L, C, 4 * C}, true, "mlp"},
      {"fcprojb", {L, C}, false, "mlp"},
      {"lnfw", {C}, false, "norms"},
      {"lnfb", {C}, false, "norms"},
  };
}

}  // namespace inkling
