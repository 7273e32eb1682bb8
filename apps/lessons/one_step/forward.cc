#include "apps/lessons/one_step/forward.h"

#include <array>
#include <cmath>
#include <limits>

#include "apps/lessons/watch.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gelu.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/views.h"

namespace inkling {

namespace {

constexpr std::int64_t kHeads = 2, kChannels = 4;

// Queries, keys or values (`which` is 0, 1 or 2) of all heads: a view (NH, 1, T, HS) of qkv (1, T, 3C).
Tensor of_heads(const Tensor& qkv, std::int64_t which) {
  const std::int64_t T = qkv.dim(1), HS = qkv.dim(2) / 3 / kHeads;
  return qkv.reshape({T, 3, kHeads, HS}).slice(1, which, which + 1).transpose(0, 2);
}

// Heads (NH, 1, T, HS) side by side: (1, T, C).
Tensor side_by_side(Tape& tape, const Tensor& heads) {
  return contiguous(tape, heads.transpose(0, 2)).reshape({1, heads.dim(2), heads.dim(0) * heads.dim(3)});
}

// (T, T): 0 where a token may look, minus infinity where it would look ahead.
Tensor causal_mask(Tape& tape, std::int64_t T) {
  const Tensor mask = tape.output({T, T}, {});
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t k = 0; k < T; ++k)
      mask.f32()[t * T + k] = k <= t ? 0 : -std::numeric_limits<float>::infinity();
  }
  return mask;
}

}  // namespace

GPT2 printable_model(std::uint64_t seed, std::int64_t layers) {
  GPT2 model({.max_seq_len = 4,
              .vocab_size = std::ssize(kSentenceWords),
              .layers = layers,
              .heads = kHeads,
              .channels = kChannels});
  model.initialise(seed);
  return model;
}

namespace {

// The arguments that all parts of one forward pass share.
struct Pass {
  Tape& tape;
  GPT2& model;
  const Parts& parts;
  WatchedTensors* watched;

  Tensor weight(GPT2Tensor tensor, std::int64_t layer = 0) const {
    return is_stacked(tensor) ? model.parameters().layer_leaf(tape, tensor, layer, LeafGradient::overwrite)
                              : model.parameters().leaf(tape, tensor, LeafGradient::overwrite);
  }
  Tensor norm(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    return parts.layernorm ? layernorm(tape, x, weight, bias) : x;
  }
  Tensor residual(const Tensor& x, const Tensor& change) const {
    return parts.residual ? add(tape, x, change) : change;
  }
  // Watches a tensor, if nothing of this name is watched yet.
  Tensor see(const char* name, const page::Computed<Tensor>& computed) const {
    const Tensor& x = computed.value;
    if (watched == nullptr || watched->contains(name)) return x;
    Watched& place = (*watched)[name];
    place = {x.shape(), {x.f32(), x.f32() + x.numel()}, {}, computed.source};
    place.gradient.resize(place.value.size());
    return watch(tape, x, place.gradient.data());
  }
};

// x (1, T, C) -> x + attention(layernorm(x)).
Tensor attention_block(const Pass& pass, const Tensor& x, std::int64_t layer) {
  const auto w = [&](GPT2Tensor tensor) { return pass.weight(tensor, layer); };
  Tape& tape = pass.tape;
  const float shrink = 1 / std::sqrt(static_cast<float>(kChannels / kHeads));
  const Tensor n1 = pass.see("n1", COMPUTED(pass.norm(x, w(kLn1w), w(kLn1b))));
  const Tensor qkv = pass.see("qkv", COMPUTED(linear(tape, n1, w(kQkvw), w(kQkvb))));
  const Tensor q = of_heads(qkv, 0), k = of_heads(qkv, 1), v = of_heads(qkv, 2);
  const Tensor scores = pass.see("scores", COMPUTED(scale(tape, matmul(tape, q, k.transpose(2, 3)), shrink)));
  const Tensor mask = causal_mask(tape, x.dim(1));
  const Tensor p = pass.see("attention", COMPUTED(softmax(tape, add(tape, scores, mask))));
  const Tensor heads = pass.see("heads", COMPUTED(side_by_side(tape, matmul(tape, p, v))));
  const Tensor att = pass.see("att", COMPUTED(linear(tape, heads, w(kAttprojw), w(kAttprojb))));
  return pass.see("x1", COMPUTED(pass.residual(x, att)));
}

// x (1, T, C) -> x + mlp(layernorm(x)).
Tensor mlp_block(const Pass& pass, const Tensor& x, std::int64_t layer) {
  const auto w = [&](GPT2Tensor tensor) { return pass.weight(tensor, layer); };
  Tape& tape = pass.tape;
  const Tensor n2 = pass.see("n2", COMPUTED(pass.norm(x, w(kLn2w), w(kLn2b))));
  const Tensor fc = pass.see("fc", COMPUTED(linear(tape, n2, w(kFcw), w(kFcb))));
  const Tensor bent = pass.see("gelu", COMPUTED(gelu(tape, fc)));
  const Tensor mlp = pass.see("mlp", COMPUTED(linear(tape, bent, w(kFcprojw), w(kFcprojb))));
  return pass.see("x2", COMPUTED(pass.residual(x, mlp)));
}

}  // namespace

Tensor forward(Tape& tape, GPT2& model, Sentence& sentence, const Parts& parts, WatchedTensors* watched) {
  const std::int64_t V = std::ssize(kSentenceWords);
  const Pass pass{tape, model, parts, watched};
  const Tensor ids = sentence.batch().ids, targets = sentence.batch().targets;
  const Tensor wte = pass.weight(kWte), wpe = pass.weight(kWpe);
  Tensor x = pass.see("x0", COMPUTED(embedding(tape, wte, wpe, ids, V)));
  for (std::int64_t layer = 0; layer < model.config().layers; ++layer)
    x = mlp_block(pass, attention_block(pass, x, layer), layer);
  const Tensor nf = pass.see("nf", COMPUTED(pass.norm(x, pass.weight(kLnfw), pass.weight(kLnfb))));
  const Tensor padded = linear(tape, nf, wte, Tensor{});  // the rows of wte past V are padding
  const Tensor logits = pass.see("logits", COMPUTED(contiguous(tape, padded.slice(2, 0, V))));
  const Tensor p = pass.see("p", COMPUTED(softmax(tape, logits)));
  const Tensor losses = pass.see("losses", COMPUTED(neg(tape, log(tape, pick(tape, p, targets)))));
  return mean(tape, losses);
}

}  // namespace inkling
