// GPT-2 (Radford et al. 2019): token ids in, a score for every possible next token out.
//
//   x = wte[id] + wpe[position]
//   L times:  x = x + attention(layernorm(x));  x = x + mlp(layernorm(x))
//   logits = layernorm(x) wte^T                  (the head is tied to the embedding)
//
// The model knows token ids, not text; targets come already shifted (apps/text/batches.h). It holds weights
// and no activations: those belong to the tape of a step. Not thread-safe; one call uses many threads inside.
// Next: ops/attention.h for the one step in which tokens see each other.
#pragma once

#include <optional>
#include <span>

#include "nn/gpt2_config.h"
#include "nn/kv_cache.h"
#include "nn/packed_weights.h"
#include "nn/parameters.h"
#include "nn/precision.h"
#include "ops/linear.h"

namespace inkling {

class GPT2 {
 public:
  explicit GPT2(const GPT2Config& config);  // weights are zero: initialise() or load (nn/checkpoint.h)

  const GPT2Config& config() const { return config_; }
  Parameters& parameters() { return parameters_; }

  // N(0, s) for matrices and embeddings, N(0, s/sqrt(2L)) for the two projections that add to the residual
  // stream, biases 0, norm weights 1; rows of wte past V are zero. s is GPT-2's 0.02 from its 768 channels
  // on. A sum of C products of size s grows with sqrt(C), so a narrower model gets s = 0.02 sqrt(768 / C):
  // its activations and attention scores begin as large as GPT-2's. (1,000 steps on stories at C = 128 end
  // 21% above the theoretical minimum so, 33% with 0.02.)
  void initialise(std::uint64_t seed);

  // What to compute in from now on: bf16 packs the matrices, with a second copy if there will be a backward;
  // int8 packs them, too, and is an Error if there will be one.
  void set_precision(Precision precision, Recording recording);
  // Whether backward computes each block's inside once more instead of keeping it (core/recompute.h).
  void set_recompute(bool recompute) { recompute_ = recompute; }
  // Whoever changes weights says which, as the optimiser does chunk by chunk (optim/optimizer.h): their
  // packed copies follow. Thread-safe for stretches apart.
  void weights_changed(std::int64_t offset, std::int64_t count);

  std::int64_t packed_bytes() const { return packed_ ? static_cast<std::int64_t>(packed_->size_bytes()) : 0; }

  // The mean cross-entropy of targets (B, T), -1 for those that do not count; never holds (B, T, V) logits.
  // `loss_scale` is the seed that backward() will be called with: 1 / micro-batches of a step.
  Tensor loss(Tape& tape, const Tensor& ids, const Tensor& targets, float loss_scale = 1.0f,
              LeafGradient mode = LeafGradient::overwrite);

  // Each token's own loss, 0 where the target is -1: losses (B*T). For a tape that does not record.
  void token_losses(Tape& tape, const Tensor& ids, const Tensor& targets, float* losses);

  // All logits (B, T, Vp); columns past V mean nothing. For tests and small models.
  Tensor logits(Tape& tape, const Tensor& ids);

  // Generation: each row of ids (B, T) continues what its cache has seen, and is added to it; all have seen
  // as many. Returns the last position's logits (B, Vp). For a tape that does not record.
  Tensor next_logits(Tape& tape, const Tensor& ids, std::span<KvCache> caches);

 private:
  using Caches = std::span<const KvCache>;  // none: a whole text at once

  Weight matrix(Tape& tape, GPT2Tensor tensor, std::int64_t layer, LeafGradient mode);
  Tensor attention_half(Tape& tape, const Tensor& x, std::int64_t layer, LeafGradient mode, DType inner,
                        Caches caches);
  Tensor mlp_half(Tape& tape, const Tensor& x, std::int64_t layer, LeafGradient mode, DType inner);
  Tensor block(Tape& tape, const Tensor& x, std::int64_t layer, LeafGradient mode, Caches caches);
  Tensor run(Tape& tape, const Tensor& ids, LeafGradient mode, Caches caches, DType out);
  DType inner_dtype() const { return precision_ == Precision::bf16 ? DType::bf16 : DType::f32; }

  GPT2Config config_;
  Parameters parameters_;
  Precision precision_ = Precision::f32;
  std::optional<PackedWeights> packed_;  // in bf16 or int8
  bool recompute_ = false;
};

}  // namespace inkling
