// The documents' sentence, "we love deep learning", with their vocabulary of 12 words, and a GPT that is
// small enough to learn it in a moment.
#pragma once

#include <array>
#include <cstdint>

#include "apps/run/training_step.h"
#include "nn/gpt2.h"

namespace inkling {

constexpr std::array<const char*, 12> kSentenceWords = {"<BOS>", "we", "love",  "deep",  "learning", "<EOS>",
                                                        "the",   "is", "great", "model", "hello",    "world"};

// The four predictions: <BOS> -> we, we -> love, love -> deep, deep -> learning.
struct Sentence {
  std::array<std::int32_t, 4> ids = {0, 1, 2, 3};
  std::array<std::int32_t, 4> targets = {1, 2, 3, 4};

  MicroBatch batch() { return {Tensor(ids.data(), {1, 4}), Tensor(targets.data(), {1, 4})}; }
};

// One layer, two heads, 16 channels, random weights.
GPT2 sentence_model(std::uint64_t seed);

}  // namespace inkling
