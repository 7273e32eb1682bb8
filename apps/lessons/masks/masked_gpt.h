// A GPT whose attention mask can be seen and changed. It is the network of nn/gpt2.h, with the same weights,
// written with small ops that store every matrix. For each head,
//   S = Q K^T / sqrt(HS) + M     scores (T, T); M_tk is 0 if token t may see token k, and -inf if not
//   P = softmax(S)               e^-inf is 0: a masked token gets no attention
//   O = P V
// The engine's attention (ops/attention/attention.h) computes the same numbers for the causal mask, without
// storing S and P. A lesson needs this slower form to look at P, and to train without the mask.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/gpt2.h"

namespace inkling {

enum class Sees { past, everything };

// M (T, T) for a row of T tokens.
std::vector<float> attention_mask(Sees sees, std::int64_t T);

class MaskedGpt {
 public:
  // Uses the weights of `model`, for rows of T tokens.
  MaskedGpt(GPT2& model, Sees sees, std::int64_t T) : model_(model), mask_(attention_mask(sees, T)), T_(T) {}

  // The mean cross-entropy over all targets; ids and targets are (B, T).
  Tensor loss(Tape& tape, const Tensor& ids, const Tensor& targets);
  // The loss of each token (B*T).
  std::vector<double> token_losses(const Tensor& ids, const Tensor& targets);
  Tensor logits(Tape& tape, const Tensor& ids);  // (B, T, Vp)
  // P of each layer, (B, NH, T, T).
  std::vector<Tensor> attention(Tape& tape, const Tensor& ids);

 private:
  Tensor hidden_states(Tape& tape, const Tensor& ids, std::vector<Tensor>* maps = nullptr);
  Tensor attention_of(Tape& tape, const Tensor& qkv, std::vector<Tensor>* maps);
  Tensor leaf(Tape& tape, GPT2Tensor tensor, std::int64_t layer = 0);

  GPT2& model_;
  std::vector<float> mask_;
  std::int64_t T_;
};

}  // namespace inkling
