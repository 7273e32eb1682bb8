// DataShard: a token shard together with the files beside it (token_flags.h): the loss mask, which says which
// tokens count as targets, and the document starts.
//
// This file does not know the order in which tokens are used. Read next: label_shift.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "apps/text/shard.h"
#include "apps/text/token_flags.h"

namespace inkling {

enum class LossMask { use, ignore };  // ignore: every token counts

// A DataShard is immutable, so threads may call all its members at the same time.
class DataShard {
 public:
  // Opens the shard, and its loss mask and its document starts if there are any.
  DataShard(const std::string& path, LossMask mask);

  const Shard& tokens() const { return tokens_; }
  std::int64_t size() const { return tokens_.size(); }
  const std::string& path() const { return tokens_.path(); }

  // Whether the loss of token i counts when the token is a target.
  bool counts(std::int64_t i) const { return !mask_ || (*mask_)[i]; }
  bool has_loss_mask() const { return mask_.has_value(); }
  // The number of tokens in [begin, end) that count.
  std::int64_t counted(std::int64_t begin, std::int64_t end) const {
    return mask_ ? mask_->count(begin, end) : end - begin;
  }

  // Whether a document begins at token i. The document starts decide; without document starts, a document
  // begins at each token `end_of_text`.
  bool begins_document(std::int64_t i, std::int32_t end_of_text) const {
    return starts_ ? (*starts_)[i] : tokens_[i] == end_of_text;
  }
  bool has_document_starts() const { return starts_.has_value(); }
  // T, if the shard is packed in rows of T tokens (packing.h), otherwise 0.
  std::int64_t row_tokens() const { return starts_ ? starts_->row_tokens() : 0; }
  // Error if the shard is packed in rows of another length than T.
  void check_row_tokens(std::int64_t T) const;

  // Writes the position of each token of a row in its document: 0, 1, ... from each document's first token
  // on. The row is tokens [first, first + count). Its first token has position 0, even in the middle of a
  // document.
  void copy_positions(std::int64_t first, std::int64_t count, std::int32_t end_of_text,
                      std::int32_t* positions) const;

  // The tokens of the shard, its loss mask if it is used, and its document starts.
  ShardId id() const;

 private:
  Shard tokens_;
  std::optional<TokenFlags> mask_, starts_;
};

// What the files beside some shards say about documents and rows.
struct DocumentMarks {
  bool starts = false;          // whether any shard has document starts
  std::int64_t row_tokens = 0;  // T of packed rows, or 0. Error if the shards have different ones.
};
DocumentMarks find_document_marks(std::span<const std::string> shards);

// Returns what a model is to continue in a sample: of a shard with a loss mask, the tokens before the first
// target that counts, from the beginning of their document on, if there are at most `most`. Otherwise, only
// end-of-text.
std::vector<std::int32_t> sample_prompt(const DataShard& shard, std::int32_t end_of_text, std::int64_t most);

// Error if `counted`, the number of targets that count, is 0: a model cannot learn from data without such
// targets.
void expect_counted_targets(std::int64_t counted, std::span<const std::string> paths);

// Error, which names the first file that differs, unless the shards have the contents that `saved` describes.
// Their names and folders may have changed.
void expect_same_contents(std::span<const ShardId> saved, std::span<const DataShard> shards);

}  // namespace inkling
