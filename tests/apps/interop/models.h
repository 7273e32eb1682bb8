// Small models for the tests of conversions, and what transformers computes from the models in tests/goldens.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/interop/stored_model.h"
#include "nn/checkpoint.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

// Dimensions that all differ, so that a mixed-up dimension is noticed.
inline constexpr GPT2Config kSmall{
    .max_seq_len = 5, .vocab_size = 130, .layers = 3, .heads = 2, .channels = 4};

// Writes a model file with random weights and zeros in the rows of wte past V.
inline void write_random_model(const std::string& path, DType dtype = DType::f32,
                               const GPT2Config& config = kSmall, std::uint64_t seed = 3) {
  std::vector<float> weights = random_floats(config.parameter_count(), seed);
  const auto begin = weights.begin() + config.vocab_size * config.channels;
  std::fill(begin, weights.begin() + config.padded_vocab_size() * config.channels, 0.0f);
  save_model(path, config, weights, dtype);
}

// The logits (T, V) of one text.
inline std::vector<float> logits_of(GPT2& model, const std::vector<std::int32_t>& ids) {
  std::vector<std::int32_t> copy = ids;
  Tape tape(Recording::off);
  const Tensor logits = model.logits(tape, Tensor(copy.data(), {1, std::ssize(ids)}));
  const std::int64_t V = model.config().vocab_size, Vp = model.config().padded_vocab_size();
  std::vector<float> all;
  for (std::int64_t t = 0; t < std::ssize(ids); ++t)
    all.insert(all.end(), logits.f32() + t * Vp, logits.f32() + t * Vp + V);
  return all;
}

inline nlohmann::json read_golden(const std::string& directory) {
  return nlohmann::json::parse(std::ifstream(directory + "/expected.json"));
}

// Returns the largest difference between the logits of a model file and the logits that transformers
// computes.
inline double difference_from_golden(const std::string& model_path, const std::string& golden) {
  const nlohmann::json expected = read_golden(golden);
  GPT2 model = load_model(model_path);
  const std::vector<float> logits = logits_of(model, expected["ids"]);
  double largest = 0;
  std::size_t i = 0;
  for (const auto& row : expected["logits"]) {
    for (const double want : row)
      largest = std::max(largest, std::abs(static_cast<double>(logits[i++]) - want));
  }
  return i == logits.size() ? largest : INFINITY;
}

}  // namespace inkling::test
