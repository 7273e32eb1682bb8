#include "nn/gpt2.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/recompute.h"
#include "core/rng.h"
#include "ops/attention/attention.h"
#include "ops/embedding.h"
#include "ops/gelu.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"

namespace inkling {

namespace {

const GPT2Config& checked(const GPT2Config& config) {
  config.check("gpt2");
  return config;
}

}  // namespace

GPT2::GPT2(const GPT2Config& config) : config_(checked(config)), parameters_(gpt2_parameters(config)) {}

void GPT2::initialise(std::uint64_t seed) {
  constexpr double kGPT2Deviation = 0.02, kGPT2Channels = 768;
  const double C = static_cast<double>(config_.channels);
  const double matrix_deviation = kGPT2Deviation * std::max(1.0, std::sqrt(kGPT2Channels / C));
  const double residual_deviation = matrix_deviation / std::sqrt(2.0 * static_cast<double>(config_.layers));
  Rng rng(seed);
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const std::span<float> values = parameters_.values_of(t);
    const bool is_norm_weight = t == kLn1w || t == kLn2w || t == kLnfw;
    std::fill(values.begin(), values.end(), is_norm_weight ? 1.0f : 0.0f);
    if (!parameters_.table()[t].decay)
      continue;  // only matrices and embeddings have `decay`; biases and norms are done here
    const double deviation = t == kAttprojw || t == kFcprojw ? residual_deviation : matrix_deviation;
    const std::size_t drawn =
        t == kWte ? static_cast<std::size_t>(config_.vocab_size * config_.channels) : values.size();
    for (float& w : values.first(drawn)) w = static_cast<float>(deviation * rng.normal());
  }
  weights_changed(0, parameters_.count());
}

void GPT2::set_precision(Precision precision, Recording recording) {
  if (precision == Precision::int8 && recording == Recording::on) {
    fail("gpt2: precision is int8, expected f32 or bf16 to train: int8 can only generate and evaluate");
  }
  precision_ = precision;
  packed_.reset();
  if (precision == Precision::f32) return;
  const Packing packing = precision == Precision::int8 ? Packing::int8
                          : recording == Recording::on ? Packing::bf16_twice
                                                       : Packing::bf16;
  packed_.emplace(parameters_, std::vector<std::size_t>{kWte, kQkvw, kAttprojw, kFcw, kFcprojw}, packing);
}

void GPT2::weights_changed(std::int64_t offset, std::int64_t count) {
  if (packed_) packed_->pack(offset, count);
}

// ---- The forward pass ----

// The leaf of the tape for a parameter, or for layer `l` of a parameter that is stacked over layers.
Tensor GPT2::leaf(Tape& tape, GPT2Tensor tensor, std::int64_t l, const Pass& pass) {
  return is_stacked(tensor) ? parameters_.layer_leaf(tape, tensor, l, pass.mode)
                            : parameters_.leaf(tape, tensor, pass.mode);
}

// The leaf for a weight matrix, together with the matrix's packed copies if the model has any.
Weight GPT2::matrix(Tape& tape, GPT2Tensor tensor, std::int64_t l, const Pass& pass) {
  const Tensor values = leaf(tape, tensor, l, pass);
  return packed_ ? packed_->matrix(tensor, l).weight(values) : Weight(values);
}

// The attention part of a block: x + attention(layernorm(x)).
Tensor GPT2::attention_block(Tape& tape, const Tensor& x, std::int64_t l, const Pass& pass) {
  const auto w = [&](GPT2Tensor t) { return leaf(tape, t, l, pass); };
  const Tensor n = layernorm(tape, x, w(kLn1w), w(kLn1b), pass.inner);         // (B, T, C)
  const Tensor qkv = linear(tape, n, matrix(tape, kQkvw, l, pass), w(kQkvb));  // (B, T, 3C)
  const Tensor a = pass.caches.empty() ? attention(tape, qkv, config_.heads, pass.positions)
                                       : attend(tape, l, qkv, pass.caches);       // (B, T, C)
  return linear_add(tape, x, a, matrix(tape, kAttprojw, l, pass), w(kAttprojb));  // (B, T, C)
}

// The MLP part of a block: x + mlp(layernorm(x)).
Tensor GPT2::mlp_block(Tape& tape, const Tensor& x, std::int64_t l, const Pass& pass) {
  const auto w = [&](GPT2Tensor t) { return leaf(tape, t, l, pass); };
  const Tensor n = layernorm(tape, x, w(kLn2w), w(kLn2b), pass.inner);                 // (B, T, C)
  const Tensor h = gelu(tape, linear(tape, n, matrix(tape, kFcw, l, pass), w(kFcb)));  // (B, T, 4C)
  return linear_add(tape, x, h, matrix(tape, kFcprojw, l, pass), w(kFcprojb));         // (B, T, C)
}

Tensor GPT2::block(Tape& tape, const Tensor& x, std::int64_t l, const Pass& pass) {
  const auto attend_to = [=, this](Tape& t, const Tensor& in) { return attention_block(t, in, l, pass); };
  const auto map = [=, this](Tape& t, const Tensor& in) { return mlp_block(t, in, l, pass); };
  if (!recompute_) return map(tape, attend_to(tape, x));
  return recompute(tape, recompute(tape, x, attend_to), map);
}

// Runs the embedding, all blocks, and the last layernorm. Returns (B, T, C) of dtype `out`.
Tensor GPT2::hidden_states(Tape& tape, const Tensor& ids, const Pass& pass, DType out) {
  if (ids.rank() != 2) fail("gpt2: ids are ", ids.shape(), ", expected (B, T)");
  const std::int64_t first_position = pass.caches.empty() ? 0 : pass.caches.front().length();
  if (first_position + ids.dim(1) > config_.max_seq_len) {
    fail("gpt2: T=", first_position + ids.dim(1), " positions, expected at most maxT=", config_.max_seq_len);
  }
  const auto w = [&](GPT2Tensor t) { return leaf(tape, t, 0, pass); };
  const Arena::Mark mark = tape.mark();
  Tensor x = embedding(tape, w(kWte), w(kWpe), ids, config_.vocab_size, first_position,
                       pass.positions);  // (B, T, C)
  for (std::int64_t l = 0; l < config_.layers; ++l) x = tape.rewind(mark, block(tape, x, l, pass));
  return layernorm(tape, x, w(kLnfw), w(kLnfb), out);
}

// ---- Losses and logits ----

Tensor GPT2::loss(Tape& tape, const Tensor& ids, const Tensor& targets, LeafGradient mode,
                  std::int64_t mean_over, const Tensor& positions) {
  const Pass pass{.mode = mode, .inner = inner_dtype(), .positions = positions};
  const Tensor x = hidden_states(tape, ids, pass, pass.inner);
  return linear_cross_entropy(tape, x, matrix(tape, kWte, 0, pass), targets, config_.vocab_size, mean_over);
}

void GPT2::token_losses(Tape& tape, const Tensor& ids, const Tensor& targets, float* losses,
                        const Tensor& positions) {
  if (tape.recording()) fail("gpt2: token_losses: the tape records, expected a tape with Recording::off");
  const Pass pass{.inner = inner_dtype(), .positions = positions};
  const Tensor x = hidden_states(tape, ids, pass, pass.inner);
  linear_token_losses(losses, x, matrix(tape, kWte, 0, pass), targets, config_.vocab_size);
}

Tensor GPT2::logits(Tape& tape, const Tensor& ids) {
  const Pass pass{.inner = inner_dtype()};
  const Tensor x = hidden_states(tape, ids, pass, DType::f32);
  return linear(tape, x, matrix(tape, kWte, 0, pass), Tensor{});  // (B, T, Vp)
}

Tensor GPT2::next_logits(Tape& tape, const Tensor& ids, std::span<KvCache> caches) {
  if (tape.recording()) fail("gpt2: next_logits: the tape records, expected a tape with Recording::off");
  if (ids.rank() != 2 || caches.empty() || std::ssize(caches) != ids.dim(0)) {
    fail("gpt2: ids are ", ids.shape(), ", expected one row for each of ", caches.size(), " caches");
  }
  const Pass pass{.caches = caches};  // the cache holds f32, so the activations are f32 too
  const Tensor x = hidden_states(tape, ids, pass, DType::f32);  // (B, T, C)
  for (KvCache& cache : caches) cache.advance(ids.dim(1));
  const std::int64_t B = x.dim(0), T = x.dim(1), C = x.dim(2);
  const Tensor last = tape.output({B, C}, {});
  for (std::int64_t b = 0; b < B; ++b) {
    std::copy_n(x.f32() + (b * T + T - 1) * C, C, last.f32() + b * C);
  }
  return linear(tape, last, matrix(tape, kWte, 0, pass), Tensor{});  // (B, Vp)
}

}  // namespace inkling
