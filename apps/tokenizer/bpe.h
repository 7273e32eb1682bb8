// Byte pair encoding: turns a piece of text into tokens (Sennrich, Haddow & Birch, 2016; on bytes: GPT-2).
//
// A table of tokens is built by merges: at first each byte is a token, and each further token joins two
// earlier ones. The encoding of a piece repeats one step: of all pairs of neighbours that join to a token of
// the table, merge the pair whose token has the lowest id (the leftmost, if there are several). It ends when
// no pair joins to a token.
//
// This file computes the same result without merging, in time linear in the length of the piece. It uses two
// facts. Say that two tokens `fit` if the encoding of their joined bytes is these two tokens again.
//   1. Tokens t1 t2 ... tn are the encoding of their joined bytes if and only if all neighbours fit. (The
//      first merge that crosses a border between t(i) and t(i+1) would also cross it in t(i) t(i+1) alone,
//      because up to this merge, each t(i) is merged as if it were alone.)
//   2. So the encoding of each beginning of the piece is unique: if the last token of a beginning leads
//      nowhere, no other way to this position has to be tried.
// Therefore: at each position take the longest token that fits the token before it, else a shorter one, else
// go back one token and mark the position as a dead end. Each position becomes a dead end at most once.
//
// Whether two tokens fit depends on the tokens along their common border: the last parts of the left token
// (itself, the right half of its merge, the right half of that, ...) and the first parts of the right token.
// Undo the merges on both sides, the latest first. If a last part and a first part join to a token that was
// merged before the next merge on either side, then the border is crossed and the tokens do not fit.
//
// Ids must be in the order of the merges, as in GPT-2 and in every table of bpe_training.h. A token that two
// earlier tokens do not encode to, such as one that was added by hand, is never used for encoding.
//
// Thread safety: a BpeTable is immutable after construction. A BpeEncoder belongs to one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenizer/piece_cache.h"

namespace inkling {

class BpeTable {
 public:
  static constexpr std::int32_t kNone = -1;

  BpeTable() = default;
  // Builds the table of these tokens, except `end_of_text`, which no text encodes to.
  BpeTable(std::span<const std::string> tokens, std::int32_t end_of_text);

  // The two tokens that a token was merged from: {kNone, kNone} for a byte or a token that is never used.
  struct Merge {
    std::int32_t left = kNone, right = kNone;
  };
  Merge merge_of(std::int32_t id) const { return merges_[static_cast<std::size_t>(id)]; }

  // Returns the longest token that the text starts with, or kNone.
  std::int32_t longest_match(std::string_view text) const { return longest_match(text, vocab_size()); }
  // Returns the longest token that is a true beginning of token `id`, or kNone.
  std::int32_t shorter(std::int32_t id) const { return shorter_[static_cast<std::size_t>(id)]; }
  std::size_t length(std::int32_t id) const { return lengths_[static_cast<std::size_t>(id)]; }
  // Whether the encoding of the joined bytes of the two tokens is these two tokens.
  bool fit(std::int32_t left, std::int32_t right) const;
  // The pieces that are one token. An encoder starts with these.
  const PieceCache& whole_pieces() const { return whole_pieces_; }

 private:
  // A hash table with open addressing. It maps two integers to one integer.
  class PairMap {
   public:
    void insert(std::int32_t first, std::int32_t second, std::int32_t value);  // the pair must be new
    std::int32_t find(std::int32_t first, std::int32_t second) const;          // kNone: no such pair

   private:
    struct Slot {
      std::int32_t first = kNone, second = kNone, value = kNone;
    };
    void place(const Slot& slot);

    std::vector<Slot> slots_ = std::vector<Slot>(16);
    int shift_ = 60;  // the first slot of a pair is the high bits of its hash
    std::size_t count_ = 0;
  };

  std::int32_t vocab_size() const { return static_cast<std::int32_t>(merges_.size()); }
  std::int32_t longest_match(std::string_view text, std::int32_t below) const;
  void insert_into_trie(std::span<const std::string> tokens, std::int32_t end_of_text);
  void find_merge(std::int32_t id, std::string_view bytes);
  void collect_whole_pieces(std::span<const std::string> tokens);
  std::int64_t made_at(std::int32_t id) const;

  std::vector<Merge> merges_;
  std::vector<std::int32_t> shorter_;
  std::vector<std::uint8_t> lengths_;  // in bytes; 0 for a token that is never used
  PairMap joined_;                     // left and right token -> the token that they merge to
  // The trie of all tokens. A node stands for the beginning of a token. Nodes below V are the tokens
  // themselves.
  std::vector<std::int32_t> roots_ = std::vector<std::int32_t>(256, kNone);  // the node of each first byte
  PairMap children_;                                                         // node and next byte -> node
  PieceCache whole_pieces_;
};

class BpeEncoder {
 public:
  explicit BpeEncoder(const BpeTable& table);

  // Cuts the text into pieces and appends the ids of their tokens to `ids`. Returns the number of bytes that
  // were encoded: less than text.size() if the table has no token for the byte at this position.
  std::size_t encode(std::string_view text, std::vector<std::int32_t>& ids);

  // Appends the tokens of one piece. Returns the number of bytes that were encoded, as encode() does.
  std::size_t encode_piece(std::string_view piece, std::vector<std::int32_t>& ids);

 private:
  bool fit(std::int32_t left, std::int32_t right);

  const BpeTable* table_;
  PieceCache cache_;
  // The last pairs that were tested. In a long run of one character, the same pair comes again and again.
  struct Tested {
    std::uint64_t pair;
    bool fits;
  };
  std::vector<Tested> tested_;
  std::vector<std::int32_t> piece_ids_;
  std::vector<std::uint64_t> dead_ends_;  // bit i: no encoding continues from byte i of the piece
};

}  // namespace inkling
