#include "nn/kv_cache.h"

#include "ops/attention_decode.h"

namespace inkling {

KvCache::KvCache(const GPT2Config& config, std::int64_t batch_size)
    : config_(config),
      batch_size_(batch_size),
      memory_(
          static_cast<std::size_t>(config.layers * kv_cache_floats(batch_size, config.heads,
                                                                   config.head_size(), config.max_seq_len)) *
          sizeof(float)) {}

Tensor KvCache::attend(Tape& tape, std::int64_t layer, const Tensor& qkv) {
  const std::int64_t B = qkv.dim(0), Tq = qkv.dim(1);
  const Tensor out = tape.output({B, Tq, config_.channels}, {});
  const std::int64_t floats =
      kv_cache_floats(batch_size_, config_.heads, config_.head_size(), config_.max_seq_len);
  float* memory = reinterpret_cast<float*>(memory_.data()) + layer * floats;
  attention_decode(
      out.f32(), qkv.f32(),
      kv_cache_layer(memory, batch_size_, config_.heads, config_.head_size(), config_.max_seq_len), length_,
      Tq);
  return out;
}

}  // namespace inkling
