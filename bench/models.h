// Models that several benchmark files use.
#pragma once

#include "apps/text/stories.h"
#include "nn/gpt2_config.h"

namespace inkling::bench {

// The model of `make train`.
inline GPT2Config story_model() {
  return {.max_seq_len = 128,
          .vocab_size = story_tokenizer().vocab_size(),
          .layers = 2,
          .heads = 4,
          .channels = 128};
}

// The number of weights in the matrices that are packed as bf16 or int8: wte and four matrices in each layer
// (nn/packed_weights.h).
inline std::int64_t packed_weights(const GPT2Config& config) {
  const std::int64_t C = config.channels;
  return (config.padded_vocab_size() + 12 * config.layers * C) * C;
}

}  // namespace inkling::bench
