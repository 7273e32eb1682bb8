#include "apps/lessons/masks/masked_gpt.h"

#include <cmath>
#include <limits>

#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gelu.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"
#include "ops/softmax.h"
#include "ops/views.h"

namespace inkling {

std::vector<float> attention_mask(Sees sees, std::int64_t T) {
  std::vector<float> mask(static_cast<std::size_t>(T * T), 0.0f);
  if (sees == Sees::everything) return mask;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t k = t + 1; k < T; ++k)
      mask[static_cast<std::size_t>(t * T + k)] = -std::numeric_limits<float>::infinity();
  }
  return mask;
}

Tensor MaskedGpt::leaf(Tape& tape, GPT2Tensor tensor, std::int64_t layer) {
  Parameters& weights = model_.parameters();
  return is_stacked(tensor) ? weights.layer_leaf(tape, tensor, layer, LeafGradient::overwrite)
                            : weights.leaf(tape, tensor, LeafGradient::overwrite);
}

Tensor MaskedGpt::attention_of(Tape& tape, const Tensor& qkv, std::vector<Tensor>* maps) {
  const std::int64_t B = qkv.dim(0), C = model_.config().channels, NH = model_.config().heads, HS = C / NH;
  const auto part = [&](std::int64_t i) {  // Q, K or V as (B, NH, T, HS)
    return contiguous(tape, qkv.slice(2, i * C, (i + 1) * C)).reshape({B, T_, NH, HS}).transpose(1, 2);
  };
  const float factor = 1 / std::sqrt(static_cast<float>(HS));
  const Tensor scores = scale(tape, matmul(tape, part(0), part(1).transpose(2, 3)), factor);
  const Tensor P = softmax(tape, add(tape, scores, Tensor(mask_.data(), {T_, T_})));  // (B, NH, T, T)
  if (maps != nullptr) maps->push_back(P);
  const Tensor O = matmul(tape, P, part(2));                       // (B, NH, T, HS)
  return contiguous(tape, O.transpose(1, 2)).reshape({B, T_, C});  // (B, T, C)
}

Tensor MaskedGpt::hidden_states(Tape& tape, const Tensor& ids, std::vector<Tensor>* maps) {
  Tensor x = embedding(tape, leaf(tape, kWte), leaf(tape, kWpe), ids, model_.config().vocab_size);
  for (std::int64_t l = 0; l < model_.config().layers; ++l) {
    const auto w = [&](GPT2Tensor tensor) { return leaf(tape, tensor, l); };
    const Tensor n = layernorm(tape, x, w(kLn1w), w(kLn1b));                         // (B, T, C)
    const Tensor a = attention_of(tape, linear(tape, n, w(kQkvw), w(kQkvb)), maps);  // (B, T, C)
    x = linear_add(tape, x, a, w(kAttprojw), w(kAttprojb));
    const Tensor m = layernorm(tape, x, w(kLn2w), w(kLn2b));
    const Tensor h = gelu(tape, linear(tape, m, w(kFcw), w(kFcb)));  // (B, T, 4C)
    x = linear_add(tape, x, h, w(kFcprojw), w(kFcprojb));
  }
  return layernorm(tape, x, leaf(tape, kLnfw), leaf(tape, kLnfb));
}

Tensor MaskedGpt::loss(Tape& tape, const Tensor& ids, const Tensor& targets) {
  return linear_cross_entropy(tape, hidden_states(tape, ids), leaf(tape, kWte), targets,
                              model_.config().vocab_size);
}

std::vector<double> MaskedGpt::token_losses(const Tensor& ids, const Tensor& targets) {
  Tape tape(Recording::off);
  std::vector<float> losses(static_cast<std::size_t>(targets.numel()));
  linear_token_losses(losses.data(), hidden_states(tape, ids), leaf(tape, kWte), targets,
                      model_.config().vocab_size);
  return {losses.begin(), losses.end()};
}

Tensor MaskedGpt::logits(Tape& tape, const Tensor& ids) {
  return linear(tape, hidden_states(tape, ids), leaf(tape, kWte), Tensor{});
}

std::vector<Tensor> MaskedGpt::attention(Tape& tape, const Tensor& ids) {
  std::vector<Tensor> maps;
  hidden_states(tape, ids, &maps);
  return maps;
}

}  // namespace inkling
