// The KV cache: the keys and values of all tokens of one text so far, for every layer. With a KV cache, each
// layer computes only the row of the new token, not the rows of the whole text again
// (ops/attention/attention_decode.h).
//
// Texts that are generated together share the pass over the weights, but each text has its own cache.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory.h"
#include "core/tape.h"
#include "nn/gpt2_config.h"
#include "ops/attention/attention_decode.h"

namespace inkling {

class KvCache {
 public:
  explicit KvCache(const GPT2Config& config);  // allocates memory for maxT positions

  const GPT2Config& config() const { return config_; }
  std::int64_t length() const { return length_; }  // the number of filled positions
  void clear() { length_ = 0; }
  void copy(const KvCache& other);  // copies the contents of `other`; Error if its config differs
  // Marks T more positions of the cache as filled. Call it once, after all layers have written the keys and
  // values of these positions. A negative T drops the newest positions.
  void advance(std::int64_t T) { length_ += T; }

  KvCacheLayer layer(std::int64_t layer) const;
  std::int64_t size_bytes() const { return static_cast<std::int64_t>(memory_.size_bytes()); }

 private:
  GPT2Config config_;
  std::int64_t length_ = 0;
  Pages memory_;
};

// Attention with B KV caches of equal length: appends the keys and values in qkv (B, Tq, 3C) to layer `layer`
// of the caches. Then the queries attend to all keys in the caches. Returns (B, Tq, C).
Tensor attend(Tape& tape, std::int64_t layer, const Tensor& qkv, std::span<const KvCache> caches);

}  // namespace inkling
