// Windows: every token of some shards, once, as targets for measuring a model.
//
// A shard of n tokens is cut into windows of T+1 that overlap by one token, as the last target of one is the
// first input of the next. So each token but the shard's first is predicted exactly once, with the tokens
// before it in its window to go by. On request windows end with their document, too, as the next one begins
// with an end-of-text token: then nothing is predicted from another document, or from the middle of a short
// one, which is how a model knows its texts that was trained with align_documents. What a window or a batch
// has room for beyond the shard's end has target -1, which does not count. Unlike Batches
// (apps/text/batches.h) nothing is left out, shuffled or repeated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/shard.h"

namespace inkling {

class Windows {
 public:
  // B windows of T targets a batch, at the most; documents begin with `end_of_text`, -1: windows do not heed
  // them. Error for a shard of fewer than two tokens or with a token outside the vocabulary.
  Windows(const std::vector<std::string>& paths, std::int64_t B, std::int64_t T, std::int64_t vocab_size,
          std::int32_t end_of_text = -1);

  std::int64_t targets() const { return targets_; }  // in all batches
  std::int64_t batches() const { return batches_; }

  // The next batch: inputs (B,T), targets (B,T). False, and nothing written, when there is none left.
  bool next(std::int32_t* inputs, std::int32_t* targets);

 private:
  std::int64_t count_at(const Shard& shard, std::int64_t first) const;  // targets of the window there

  std::vector<Shard> shards_;
  std::int64_t B_, T_;
  std::int32_t end_of_text_;
  std::int64_t targets_ = 0, batches_ = 0;
  std::size_t shard_ = 0;   // the next window begins here,
  std::int64_t first_ = 0;  // at this token
};

}  // namespace inkling
