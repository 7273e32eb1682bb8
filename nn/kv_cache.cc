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
  if (layer < 0 || layer >= config_.layers)
    fail("kv cache: layer ", layer, " of ", config_.layers, " layers does not exist, expected 0 to ",
         config_.layers - 1);
  float* memory = reinterpret_cast<float*>(memory_.data()) + layer * layer_floats(config_);
  return kv_cache_layer(memory, config_.heads, config_.head_size(), config_.max_seq_len);
}

void KvCache::copy(const KvCache& other) {
  if (!(config_ == other.config_))
    fail("kv cache: cannot copy a cache of a model with a different config, expected the same config");
  for (std::int64_t l = 0; l < config_.layers; ++l) copy_positions(layer(l), other.layer(l), other.length_);
  length_ = other.length_;
}

Tensor attend(Tape& tape, std::int64_t layer, const Tensor& qkv, std::span<const KvCache> caches) {
  if (caches.empty()) fail("kv cache: there is no cache, expected at least one");
  const KvCache& first = caches.front();
  const GPT2Config& config = first.config();
  const std::int64_t B = std::ssize(caches), C = config.channels, Tq = qkv.rank() == 3 ? qkv.dim(1) : 0;
  if (!(qkv.shape() == Shape{B, Tq, 3 * C}) || !qkv.contiguous()) {
    fail("kv cache: qkv is ", qkv.shape(), ", expected a contiguous (B=", B, ", Tq, 3C=", 3 * C, ")");
  }
  for (const KvCache& cache : caches) {
    if (!(cache.config() == config))
      fail("kv cache: the caches belong to models with different configs, expected the same config");
    if (cache.length() == first.length()) continue;
    fail("kv cache: two caches have ", first.length(), " and ", cache.length(),
         " positions, expected the same number");
  }
  const Tensor out = tape.output({B, Tq, C}, {});
  std::vector<KvCacheLayer> layers;
  layers.reserve(caches.size());
  for (const KvCache& cache : caches) layers.push_back(cache.layer(layer));
  attention_decode(out.f32(), qkv.f32(), layers, first.length(), Tq);
  return out;
}

}  // namespace inkling
