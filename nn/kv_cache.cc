#include "nn/kv_cache.h"

#include <vector>

#include "core/error.h"

namespace inkling {

namespace {

std::int64_t layer_floats(const GPT2Config& config) {
  return kv_cache_floats(config.heads, config.head_size(), config.max_seq_len);
}

}  // namespace

KvCache::KvCache(const GPT2Config& config)
    : config_(config),
      memory_(static_cast<std::size_t>(config.layers * layer_floats(config)) * sizeof(float)) {}

KvCacheLayer KvCache::layer(std::int64_t layer) const {
  float* memory = reinterpret_cast<float*>(memory_.data()) + layer * layer_floats(config_);
  return kv_cache_layer(memory, config_.heads, config_.head_size(), config_.max_seq_len);
}

void KvCache::copy(const KvCache& other) {
  if (!(config_ == other.config_)) fail("kv cache: a copy of another model's");
  for (std::int64_t l = 0; l < config_.layers; ++l) copy_positions(layer(l), other.layer(l), other.length_);
  length_ = other.length_;
}

Tensor attend(Tape& tape, std::int64_t layer, const Tensor& qkv, std::span<const KvCache> caches) {
  const std::int64_t B = qkv.dim(0), Tq = qkv.dim(1), C = qkv.dim(2) / 3;
  const Tensor out = tape.output({B, Tq, C}, {});
  std::vector<KvCacheLayer> layers;
  layers.reserve(caches.size());
  for (const KvCache& cache : caches) layers.push_back(cache.layer(layer));
  attention_decode(out.f32(), qkv.f32(), layers, caches.front().length(), Tq);
  return out;
}

}  // namespace inkling
