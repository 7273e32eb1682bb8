// The dimensions of a GPT-2 and the table of its 16 tensors, in the order of llm.c's checkpoints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/parameters.h"

namespace inkling {

struct GPT2Config {
  std::int64_t max_seq_len = 1024;  // maxT, the number of positions that have an embedding
  std::int64_t vocab_size = 50257;  // V, the number of tokens
  std::int64_t layers = 12;         // L, the number of transformer blocks
  std::int64_t heads = 12;          // NH, the number of attention heads
  std::int64_t channels = 768;      // C, the width of an activation

  // The dimensions of OpenAI's four models: gpt2:d12 (124M), gpt2:d24 (350M), gpt2:d36 (774M), gpt2:d48
  // (1558M). Error for any other name.
  static GPT2Config named(const std::string& name);

  // Vp, the number of rows of wte (the token embedding): V rounded up to a multiple of kVocabUnit. The rows
  // past V are zero and stay zero.
  static constexpr std::int64_t kVocabUnit = 128;
  std::int64_t padded_vocab_size() const { return (vocab_size + kVocabUnit - 1) / kVocabUnit * kVocabUnit; }
  std::int64_t head_size() const { return channels / heads; }

  // The maximum of every dimension. It is much larger than in any model that fits into a machine's memory,
  // and so small that the product of three dimensions fits into 64 bits.
  static constexpr std::int64_t kMostDim = std::int64_t{1} << 20;

  // Error unless every dimension of the model is in its range and C is divisible by NH. The message starts
  // with `where`.
  void check(const std::string& where) const;

  std::int64_t parameter_count() const;
  // The FLOPs to train on one token: 6 for each weight (2 forward, 4 backward), plus 12 L C T for attention,
  // halved because attention is causal (Kaplan et al. 2020; Chowdhery et al. 2022, appendix B).
  double training_flops_per_token(std::int64_t T) const;

  bool operator==(const GPT2Config&) const = default;
};

// The index of each of GPT-2's tensors in the table of parameters.
enum GPT2Tensor : std::size_t {
  kWte,       // (Vp, C)    token embedding, and the output head
  kWpe,       // (maxT, C)  position embedding
  kLn1w,      // (L, C)
  kLn1b,      // (L, C)
  kQkvw,      // (L, 3C, C)
  kQkvb,      // (L, 3C)
  kAttprojw,  // (L, C, C)
  kAttprojb,  // (L, C)
  kLn2w,      // (L, C)
  kLn2b,      // (L, C)
  kFcw,       // (L, 4C, C)
  kFcb,       // (L, 4C)
  kFcprojw,   // (L, C, 4C)
  kFcprojb,   // (L, C)
  kLnfw,      // (C)
  kLnfb,      // (C)
  kGPT2Tensors,
};

// Returns whether a tensor of GPT-2 is stacked, which means that it has one part for each layer.
constexpr bool is_stacked(GPT2Tensor tensor) {
  return tensor >= kLn1w && tensor <= kFcprojb;
}

std::vector<ParameterSpec> gpt2_parameters(const GPT2Config& config);

}  // namespace inkling
