// Windows: uses all tokens of some shards as targets, each exactly once, to measure the loss of a model.
//
// A shard of n tokens is cut into windows of T+1 tokens that overlap by one token: the last target of a
// window is the first input of the next window. So each token except the shard's first token is predicted
// exactly once, from the tokens before it in its window. A window can also end at the end of its document,
// because the next document starts with an end-of-text token. Then no token is predicted from another
// document, and every window of a short document starts at the document's beginning; a model that was trained
// with align_documents has seen texts in this way. Positions of a window or batch that are past the end of
// the shard have target -1 and are not counted. Neither are targets that the shard's loss mask leaves out
// (label_shift.h). Batches (apps/text/batches.h) may leave out, shuffle and repeat tokens; Windows never
// does.
//
// With a stride below T, windows overlap more: after a window of T targets, the next window starts `stride`
// tokens later, and only its last `stride` targets count. So each target after the first T of its document or
// shard is predicted from at least T - stride + 1 tokens. This gives a lower loss and takes T / stride times
// as long.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/data_shard.h"

namespace inkling {

class Windows {
 public:
  // Opens the shards. A batch has at most B windows of T targets; if there are fewer windows in all, B is
  // lowered to their number. Documents start where DataShard says: in a shard without document starts, at
  // each token `end_of_text`. If `end_of_text` is -1, windows do not end at the end of a document. Error for
  // a shard with fewer than two tokens or with a token outside the vocabulary, and if no target counts.
  // `stride` is from 1 to T; 0 means T.
  Windows(const std::vector<std::string>& paths, std::int64_t B, std::int64_t T, std::int64_t vocab_size,
          std::int32_t end_of_text = -1, LossMask mask = LossMask::use, std::int64_t stride = 0);

  // The number of targets in all batches that count.
  std::int64_t targets() const { return targets_; }
  std::int64_t batches() const { return batches_; }
  bool has_loss_mask() const;                     // whether a loss mask says which targets count
  std::int64_t batch_size() const { return B_; }  // B

  // Writes the next batch: inputs (B,T), targets (B,T). `positions` (B,T) may be nullptr; it gets the
  // position of each token in its document, where document starts (token_flags.h) say where documents begin.
  // Returns false and writes nothing if there are no more batches.
  bool next(std::int32_t* inputs, std::int32_t* targets, std::int32_t* positions = nullptr);

 private:
  // A window of a shard: its first token, and the number of its first targets that an earlier window had.
  struct Window {
    std::int64_t first = 0, seen = 0;
  };
  std::int64_t count_at(const DataShard& shard,
                        std::int64_t first) const;  // the number of targets of the window at `first`
  // Moves to the next window of the shard. Returns false if there is none.
  bool advance(const DataShard& shard, Window& window) const;

  std::vector<DataShard> shards_;
  std::int64_t B_, T_, stride_;
  std::int32_t end_of_text_;
  std::int64_t targets_ = 0, batches_ = 0;
  std::size_t shard_ = 0;  // the shard of the next window
  Window window_;          // the next window
};

}  // namespace inkling
