// The models that rows and sections run, where more than one file needs the same.
#pragma once

#include "apps/text/stories.h"
#include "nn/gpt2_config.h"

namespace inkling::bench {

// What `make train` trains.
inline GPT2Config story_model() {
  return {.max_seq_len = 128,
          .vocab_size = story_tokenizer().vocab_size(),
          .layers = 2,
          .heads = 4,
          .channels = 128};
}

// Weights of the matrices that are packed in bf16 or int8: wte and four a layer (nn/packed_weights.h).
inline std::int64_t packed_weights(const GPT2Config& config) {
  const std::int64_t C = config.channels;
  return (config.padded_vocab_size() + 12 * config.layers * C) * C;
}

}  // namespace inkling::bench
