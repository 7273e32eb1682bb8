// GPT-2 (Radford et al. 2019): the model reads token ids and returns a score for every possible next token.
//
//   x = wte[id] + wpe[position]
//   L times:  x = x + attention(layernorm(x));  x = x + mlp(layernorm(x))
//   logits = layernorm(x) wte^T                  (the head is tied to the embedding)
//
// In training this runs as GPT2::loss in nn/gpt2.cc, down to hidden_states, attention_block and mlp_block.
// The last line is part of the loss (ops/linear_cross_entropy.h), so training never stores all logits.
//
// The model knows token ids, not text; its targets are already shifted (apps/text/batches.h). The model owns
// the weights; its activations belong to the tape of a step. GPT2 is not thread-safe, but one call uses many
// threads. Read next: ops/attention/attention.h, the only step in which tokens see each other.
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
  explicit GPT2(const GPT2Config& config);  // weights are zero until initialise() or a load (nn/checkpoint.h)

  const GPT2Config& config() const { return config_; }
  Parameters& parameters() { return parameters_; }

  // Sets random weights: N(0, s) for matrices and embeddings, N(0, s/sqrt(2L)) for the two projections that
  // add to the residual stream, 0 for biases, 1 for norm weights. The rows of wte past V are 0. For 768
  // channels and more, s is 0.02 as in GPT-2. A sum of C products of size s grows with sqrt(C), so a model
  // with fewer channels gets s = 0.02 sqrt(768 / C): then its activations and attention scores start as large
  // as in GPT-2. (After 1,000 steps on stories with C = 128, the loss is 21% above the theoretical minimum
  // over rows; with s = 0.02 it is 33% above.)
  void initialise(std::uint64_t seed);

  // Sets the number format of the model's matrices and activations for all later calls. bf16 makes a packed
  // copy of each matrix, and a second copy for backward when recording is on. int8 makes one packed copy of
  // each matrix; Error for int8 when recording is on.
  void set_precision(Precision precision, Recording recording);
  // Sets whether backward computes each block's activations a second time instead of storing them
  // (core/recompute.h).
  void set_recompute(bool recompute) { recompute_ = recompute; }
  // Call this after weights [offset, offset + count) have changed: it updates their packed copies. The
  // optimiser calls it for each chunk (optim/optimizer.h). Threads may call it at the same time for ranges
  // that do not overlap.
  void weights_changed(std::int64_t offset, std::int64_t count);

  std::int64_t packed_bytes() const { return packed_ ? static_cast<std::int64_t>(packed_->size_bytes()) : 0; }

  // The mean cross-entropy over all targets (B, T) that are not -1. In a step of several micro-batches,
  // `mean_over` is the number of such targets in the whole step; the losses of the micro-batches then add up
  // to the mean (ops/linear_cross_entropy.h). loss() never stores all (B, T, V) logits.
  //
  // If rows hold several documents, `positions` i32 (B, T) has each token's position in its document
  // (ops/attention/attention.h). Then no document has any effect on another document's losses. The memory of
  // ids and positions must live until backward.
  Tensor loss(Tape& tape, const Tensor& ids, const Tensor& targets,
              LeafGradient mode = LeafGradient::overwrite, std::int64_t mean_over = 0,
              const Tensor& positions = {});

  // Computes the loss of each token, 0 where the target is -1: losses (B*T). The tape must have
  // Recording::off.
  void token_losses(Tape& tape, const Tensor& ids, const Tensor& targets, float* losses,
                    const Tensor& positions = {});

  // Returns all logits (B, T, Vp); the columns from V on have no meaning. This is the definition of the model
  // in one call. Only `inkling explain` stores all logits, and tests compare them with the logits of PyTorch.
  Tensor logits(Tape& tape, const Tensor& ids);

  // One step of generation: appends each row of ids (B, T) to its cache, which holds the earlier tokens of
  // the same text. All caches have the same length. Returns the logits of the last position (B, Vp). The tape
  // must have Recording::off.
  Tensor next_logits(Tape& tape, const Tensor& ids, std::span<KvCache> caches);

 private:
  // The arguments that all parts of one forward pass share.
  struct Pass {
    LeafGradient mode = LeafGradient::overwrite;
    DType inner = DType::f32;              // dtype of activations between matrices; x is always f32
    std::span<const KvCache> caches = {};  // empty if `ids` holds whole texts
    Tensor positions = {};                 // of each token in its document; empty if a row is one document
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
  std::optional<PackedWeights> packed_;  // the packed copies of the matrices, in bf16 or int8
  bool recompute_ = false;
};

}  // namespace inkling
