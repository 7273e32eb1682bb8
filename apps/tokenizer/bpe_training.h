// Training of a byte pair encoding: chooses the tokens that suit a text (Sennrich, Haddow & Birch, 2016).
//
// The text is cut into pieces (pieces.h), and equal pieces are counted. At first each byte is a token. Then
// one step is repeated: of all pairs of neighbouring tokens inside the pieces, the most frequent pair becomes
// a new token, and it is merged wherever it occurs, from left to right. Of pairs that are equally frequent,
// the pair with the lower left id is taken, then the one with the lower right id. For example, "aaabdaaabac"
// gives the tokens "aa", "ab" and "aaab", in this order, and becomes aaab d aaab a c.
//
// The result depends only on the counts, so it is the same for any number of threads. Ids 0 to 255 are the
// bytes, the merges follow in their order, and end-of-text is the last id.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// Counts the pieces of a text that is given in parts. The memory is limited: if there are too many different
// pieces, the rare ones become a sample. A checksum of each rare piece decides, like a coin, whether it is
// left out or its count is doubled, so on average the counts of pairs stay the same, and every run of the
// program takes the same sample.
class PieceCounts {
 public:
  // Of all different pieces together. tokenize then needs about 220 MB for a text of random words.
  static constexpr std::size_t kMostPieceBytes = std::size_t{4} << 20;

  explicit PieceCounts(std::size_t most_piece_bytes = kMostPieceBytes)
      : most_piece_bytes_(most_piece_bytes) {}

  // Counts the pieces of a part of the text, on all threads. No piece continues from one part to the next.
  void add(std::string_view text);

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Map = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

  const Map& counts() const { return counts_; }
  std::size_t piece_bytes() const { return piece_bytes_; }  // of all different pieces together
  // Whether the counts are those of a sample.
  bool sampled() const { return samples_ > 0; }

 private:
  void sample_rare_pieces();

  Map counts_;
  std::size_t most_piece_bytes_, piece_bytes_ = 0;
  std::uint64_t samples_ = 0;       // how often rare pieces were left out
  std::int64_t sampled_up_to_ = 1;  // pieces with at most this count are rare
};

// Trains a tokenizer with `vocab_size` tokens: 256 bytes, merges and end-of-text. It has fewer tokens if no
// pair is left to merge. Error if vocab_size is below 257.
Tokenizer train_bpe(const PieceCounts& pieces, std::int32_t vocab_size);

}  // namespace inkling
