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

  // The tokens of the shard, its loss mask if it is used, and its document starts.
  ShardId id() const;

 private:
  Shard tokens_;
  std::optional<TokenFlags> mask_, starts_;
};

// Error unless some of the targets count, that is, unless `counted` is at least 1: such data teaches nothing.
void expect_counted_targets(std::int64_t counted, std::span<const std::string> paths);

// Error, which names the first file that differs, unless the shards have the contents that `saved` describes.
// Their names and folders may have changed.
void expect_same_contents(std::span<const ShardId> saved, std::span<const DataShard> shards);

}  // namespace inkling
