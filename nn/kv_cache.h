// The keys and values of all tokens so far, for every layer: what makes generating a token cost one pass over
// the weights instead of one over the whole text (ops/attention_decode.h).
#pragma once

#include <cstdint>

#include "core/memory.h"
#include "core/tape.h"
#include "nn/gpt2_config.h"

namespace inkling {

class KvCache {
 public:
  KvCache(const GPT2Config& config, std::int64_t batch_size);  // room for maxT positions of B sequences

  std::int64_t length() const { return length_; }  // positions filled
  void clear() { length_ = 0; }
  std::int64_t size_bytes() const { return static_cast<std::int64_t>(memory_.size_bytes()); }

  // Appends the keys and values in qkv (B, Tq, 3C) to layer `layer` and attends their queries to all so far:
  // (B, Tq, C).
  Tensor attend(Tape& tape, std::int64_t layer, const Tensor& qkv);
  // Counts Tq positions as filled, once every layer has attended.
  void advance(std::int64_t Tq) { length_ += Tq; }

 private:
  GPT2Config config_;
  std::int64_t batch_size_;
  std::int64_t length_ = 0;
  Pages memory_;
};

}  // namespace inkling
