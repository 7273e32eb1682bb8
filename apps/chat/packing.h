// Packing: fills rows of T+1 tokens with whole conversations, and writes them as a shard with its loss mask
// and its document starts (apps/text/token_flags.h).
//
// The rows. A training row has T inputs and T targets, so T+1 tokens (apps/text/label_shift.h), and
// neighbouring rows of a shard share one token: the last target of a row is the first input of the next row.
// Here each row begins with a conversation's end-of-text and ends with an end-of-text, either the one that
// closes the row's last answer or one that fills the row up. So the shared token fits both rows, and a packed
// shard is an ordinary shard: `rows` rows are rows * T + 1 tokens. The tokens that fill a row up do not
// count, and they are a document of their own.
//
// Best fit: conversations are placed from the longest to the shortest, each into the row with the least room
// in which it still fits (best-fit decreasing; Johnson 1973). A conversation is never cut. The result depends
// only on the conversations and their order. Conversations are packed in groups of about 4 million tokens, so
// memory does not grow with the data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/chat/chat_template.h"
#include "apps/text/shard.h"
#include "apps/text/token_flags.h"

namespace inkling {

// Returns the rows: for each row, the indices of its lengths, whose sum is at most `room`. The rows, and the
// indices in each row, are sorted by their first index. Error if a length is not in 1 .. room.
std::vector<std::vector<std::size_t>> pack_best_fit(std::span<const std::int64_t> lengths, std::int64_t room);

class PackedShardWriter {
 public:
  static constexpr std::int64_t kGroupTokens = 4'000'000;

  // Writes the shard at `path` and the files beside it. vocab_size and end_of_text are the tokenizer's.
  PackedShardWriter(const std::string& path, std::int64_t vocab_size, std::int32_t end_of_text,
                    std::int64_t T, std::int64_t group_tokens = kGroupTokens);

  // Adds a conversation of at most T+1 tokens that begins and ends with end-of-text.
  void add(ChatTokens conversation);

  // Writes the last rows. The three files then appear under their names. Error if there was no conversation.
  void commit();

  std::int64_t conversations() const { return conversations_; }  // added so far
  // These counts are complete after commit().
  std::int64_t rows() const { return rows_; }
  std::int64_t tokens() const { return shard_.size(); }
  std::int64_t counted_tokens() const { return counted_; }

 private:
  void write_group();
  void write_row(std::span<const std::size_t> conversations);

  ShardWriter shard_;
  TokenFlagsWriter mask_, starts_;
  std::int32_t end_of_text_;
  std::int64_t T_, group_tokens_;
  std::vector<ChatTokens> group_;
  std::int64_t tokens_in_group_ = 0;
  ChatTokens row_;
  std::vector<std::uint8_t> row_starts_;
  std::uint8_t shared_counted_ = 0;  // whether the last token of the last row counts
  std::int64_t conversations_ = 0, rows_ = 0, counted_ = 0;
};

}  // namespace inkling
