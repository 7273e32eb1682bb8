// The keys and values of all tokens of one text so far, for every layer: what makes generating a token cost
// one pass over the weights instead of one over the whole text (ops/attention_decode.h).
//
// Several texts that are generated together have a cache each: they share the pass over the weights, not what
// they remember.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory.h"
#include "core/tape.h"
#include "nn/gpt2_config.h"
#include "ops/attention_decode.h"

namespace inkling {

class KvCache {
 public:
  explicit KvCache(const GPT2Config& config);  // room for maxT positions

  const GPT2Config& config() const { return config_; }
  std::int64_t length() const { return length_; }  // positions filled
  void clear() { length_ = 0; }
  void copy(const KvCache& other);  // continue what `other` has seen; Error if it is another model's
  // Counts T positions as filled, once every layer has attended; T below 0 forgets the newest.
  void advance(std::int64_t T) { length_ += T; }

  KvCacheLayer layer(std::int64_t layer) const;
  std::int64_t size_bytes() const { return static_cast<std::int64_t>(memory_.size_bytes()); }

 private:
  GPT2Config config_;
  std::int64_t length_ = 0;
  Pages memory_;
};

// Appends the keys and values in qkv (B, Tq, 3C) to layer `layer` of B caches, all equally long, and attends
// their queries to all so far: (B, Tq, C).
Tensor attend(Tape& tape, std::int64_t layer, const Tensor& qkv, std::span<const KvCache> caches);

}  // namespace inkling
