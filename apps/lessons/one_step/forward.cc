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

GPT2 printable_model(std::uint64_t seed) {
  GPT2 model({.max_seq_len = 4,
              .vocab_size = std::ssize(kSentenceWords),
              .layers = 1,
              .heads = kHeads,
              .channels = kChannels});
  model.initialise(seed);
  return model;
}

Tensor forward(Tape& tape, GPT2& model, Sentence& sentence, const Parts& parts, WatchedTensors* watched) {
  const std::int64_t T = 4, V = std::ssize(kSentenceWords);
  const auto w = [&](GPT2Tensor tensor) {
    return is_stacked(tensor) ? model.parameters().layer_leaf(tape, tensor, 0, LeafGradient::overwrite)
                              : model.parameters().leaf(tape, tensor, LeafGradient::overwrite);
  };
  const auto see = [&](const char* name, const page::Computed<Tensor>& computed) {
    if (watched == nullptr) return computed.value;
    Watched& place = (*watched)[name];
    const Tensor& x = computed.value;
    place = {x.shape(), {x.f32(), x.f32() + x.numel()}, {}, computed.source};
    place.gradient.resize(place.value.size());
    return watch(tape, x, place.gradient.data());
  };
  const auto norm = [&](const Tensor& x, GPT2Tensor weight, GPT2Tensor bias) {
    return parts.layernorm ? layernorm(tape, x, w(weight), w(bias)) : x;
  };
  const auto residual = [&](const Tensor& x, const Tensor& change) {
    return parts.residual ? add(tape, x, change) : change;
  };
  const Tensor ids = sentence.batch().ids, targets = sentence.batch().targets;
  const float shrink = 1 / std::sqrt(static_cast<float>(kChannels / kHeads));

  const Tensor x0 = see("x0", COMPUTED(embedding(tape, w(kWte), w(kWpe), ids, V)));

  const Tensor n1 = see("n1", COMPUTED(norm(x0, kLn1w, kLn1b)));
  const Tensor qkv = see("qkv", COMPUTED(linear(tape, n1, w(kQkvw), w(kQkvb))));
  const Tensor q = of_heads(qkv, 0), k = of_heads(qkv, 1), v = of_heads(qkv, 2);
  const Tensor scores = see("scores", COMPUTED(scale(tape, matmul(tape, q, k.transpose(2, 3)), shrink)));
  const Tensor p = see("attention", COMPUTED(softmax(tape, add(tape, scores, causal_mask(tape, T)))));
  const Tensor heads = see("heads", COMPUTED(side_by_side(tape, matmul(tape, p, v))));
  const Tensor att = see("att", COMPUTED(linear(tape, heads, w(kAttprojw), w(kAttprojb))));
  const Tensor x1 = see("x1", COMPUTED(residual(x0, att)));

  const Tensor n2 = see("n2", COMPUTED(norm(x1, kLn2w, kLn2b)));
  const Tensor fc = see("fc", COMPUTED(linear(tape, n2, w(kFcw), w(kFcb))));
  const Tensor bent = see("gelu", COMPUTED(gelu(tape, fc)));
  const Tensor mlp = see("mlp", COMPUTED(linear(tape, bent, w(kFcprojw), w(kFcprojb))));
  const Tensor x2 = see("x2", COMPUTED(residual(x1, mlp)));

  const Tensor nf = see("nf", COMPUTED(norm(x2, kLnfw, kLnfb)));
  const Tensor padded = linear(tape, nf, w(kWte), Tensor{});  // the rows of wte past V are padding
  const Tensor logits = see("logits", COMPUTED(contiguous(tape, padded.slice(2, 0, V))));
  const Tensor P = see("p", COMPUTED(softmax(tape, logits)));
  const Tensor losses = see("losses", COMPUTED(neg(tape, log(tape, pick(tape, P, targets)))));
  return mean(tape, losses);
}

}  // namespace inkling
