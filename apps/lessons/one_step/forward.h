// A GPT in the smallest ops of the engine, so that every number in it can be read, and its gradient, too.
//
// GPT2::loss computes the same with fewer and larger ops: its attention never stores the probabilities, and
// its last op never stores all logits. The lesson compares the losses and the gradients of both.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/lessons/sentence.h"
#include "apps/page/numbers.h"

namespace inkling {

// A tensor inside of the model. `source` is the line of forward.cc that computed it.
struct Watched {
  Shape shape;
  std::vector<float> value, gradient;
  page::Source source;
};
using WatchedTensors = std::map<std::string, Watched>;

// What --break=no-residual and --break=no-layernorm remove.
struct Parts {
  bool residual = true, layernorm = true;
};

// One layer, two heads, 4 channels, a vocabulary of 12 words: small enough to print.
GPT2 printable_model(std::uint64_t seed, std::int64_t layers = 1);

// The mean loss of the sentence's four predictions. The names of the watched tensors, (T, C) unless said:
//   x0          word and position
//   n1 qkv      layer norm; queries, keys and values (T, 3C)
//   scores attention    (NH, T, T) before and after mask and softmax
//   heads att   the heads side by side; after the projection
//   x1          x0 + att
//   n2 fc gelu  layer norm; (T, 4C) before and after GELU
//   mlp x2      after the second matrix; x1 + mlp
//   nf          the final layer norm
//   logits p    (T, V) before and after softmax
//   losses      (T) -log P of the target
// If `watched` is nullptr, nothing is watched. Otherwise backward writes the gradients into it. Of a deeper
// model, only the first layer is watched.
Tensor forward(Tape& tape, GPT2& model, Sentence& sentence, const Parts& parts, WatchedTensors* watched);

}  // namespace inkling
