#include "apps/lessons/sentence.h"

namespace inkling {

GPT2 sentence_model(std::uint64_t seed) {
  GPT2 model(
      {.max_seq_len = 4, .vocab_size = std::ssize(kSentenceWords), .layers = 1, .heads = 2, .channels = 16});
  model.initialise(seed);
  return model;
}

}  // namespace inkling
