// GPT-2 (Radford et al. 2019): token ids in, a score for every possible next token out.
//
//   x = wte[id] + wpe[position]
//   L times:  x = x + attention(layernorm(x));  x = x + mlp(layernorm(x))
//   logits = layernorm(x) wte^T                  (the head is tied to the embedding)
//
// The model knows token ids, not text; targets are already shifted (apps/text/batches.h). It owns the
// weights; activations belong to the tape of a step. Not thread-safe, but one call uses many threads. Read
// next: ops/attention/attention.h, the only step in which tokens see each other.
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

  // Random weights: N(0, s) for matrices and embeddings, N(0, s/sqrt(2L)) for the two projections that add to
  // the residual stream, 0 for biases, 1 for norm weights; rows of wte past V are 0. For 768 channels and
  // more, s is GPT-2's 0.02. A sum of C products of size s grows with sqrt(C), so a narrower model gets s =
  // 0.02 sqrt(768 / C): then its activations and attention scores start as large as GPT-2's. (After 1,000
  // steps on stories with C = 128, the loss is 21% above the theoretical minimum over rows; with s = 0.02 it is
  // 33%.)
  void initialise(std::uint64_t seed);

  // Sets the number format of all later calls. bf16 makes packed copies of the matrices, two of each when
  // recording is on, because backward needs its own. int8 makes packed copies too; it is an Error when
  // recording is on.
  void set_precision(Precision precision, Recording recording);
  // Whether backward computes each block's activations a second time instead of storing them
  // (core/recompute.h).
  void set_recompute(bool recompute) { recompute_ = recompute; }
  // Must be called after weights [offset, offset + count) have changed; it updates their packed copies. The
  // optimiser calls it for each chunk (optim/optimizer.h). Threads may call it at the same time for ranges
  // that do not overlap.
  void weights_changed(std::int64_t offset, std::int64_t count);

  std::int64_t packed_bytes() const { return packed_ ? static_cast<std::int64_t>(packed_->size_bytes()) : 0; }

  // The mean cross-entropy over all targets (B, T) that are not -1. In a step of several micro-batches,
  // `mean_over` is the number of such targets in the whole step; the losses of the micro-batches then add up
  // to the mean (ops/linear_cross_entropy.h). Never stores all (B, T, V) logits.
  Tensor loss(Tape& tape, const Tensor& ids, const Tensor& targets,
              LeafGradient mode = LeafGradient::overwrite, std::int64_t mean_over = 0);

  // The loss of each token, 0 where the target is -1: losses (B*T). For a tape that does not record.
  void token_losses(Tape& tape, const Tensor& ids, const Tensor& targets, float* losses);

  // All logits (B, T, Vp); columns from V on have no meaning. For tests and small models.
  Tensor logits(Tape& tape, const Tensor& ids);

  // Generation: appends each row of ids (B, T) to its cache, which holds the earlier tokens of that text. All
  // caches have the same length. Returns the logits of the last position (B, Vp). For a tape that does not
  // record.
  Tensor next_logits(Tape& tape, const Tensor& ids, std::span<KvCache> caches);

 private:
  // The arguments that all parts of one forward pass share.
  struct Pass {
    LeafGradient mode = LeafGradient::overwrite;
    DType inner = DType::f32;              // dtype of activations between matrices; x is always f32
    std::span<const KvCache> caches = {};  // if empty, ids are whole texts
  };

  Tensor hidden_states(Tape& tape, const Tensor& ids, const Pass& pass, DType out);
  Tensor block(Tape& tape, const Tensor& x, std::int64_t layer, const Pass& pass);
  Tensor attention_block(Tape& tape, const Tensor& x, std::int64_t layer, const Pass& pass);
  Tensor mlp_block(Tape& tape, const Tensor& x, std::int64_t layer, const Pass& pass);
  Tensor leaf(Tape& tape, GPT2Tensor tensor, std::int64_t layer, const Pass& pass);
  Weight matrix(Tape& tape, GPT2Tensor tensor, std::int64_t layer, const Pass& pass);
  DType inner_dtype() const { return precision_ == Precision::bf16 ? DType::bf16 : DType::f32; }

  GPT2Config config_;
  Parameters parameters_;
  Precision precision_ = Precision::f32;
  std::optional<PackedWeights> packed_;  // the packed copies, in bf16 or int8
  bool recompute_ = false;
};

}  // namespace inkling
