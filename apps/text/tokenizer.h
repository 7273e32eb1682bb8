// A tokenizer: a table that gives each token id its bytes, and the way back from text to ids.
//
// A language model never sees letters. It sees ids 0 .. V-1, and this table says what each stands for. What a
// table's tokens look like decides how text is cut (its kind):
//   bytes  every token is one byte. Any text can be encoded, at the price of long sequences.
//   words  some token of several bytes is not two other tokens joined. At each place the longest token that
//          fits is taken; text that no token fits is an error.
//   BPE    every token of several bytes is two other tokens joined, as byte pair encoding builds them
//          (Sennrich, Haddow & Birch, 2016). Such tables, like GPT-2's, can only be decoded here so far.
//
// End-of-text stands *between* documents. It has an id and, for printing, bytes; but these bytes inside a
// text are just text: they are never matched, so no document can pretend to end. It plays no part in deciding
// the kind either.
//
// Thread safety: immutable once made. Files are llm.c's `*_tokenizer.bin`. Read next: shard.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/binary_file.h"

namespace inkling {

constexpr std::int32_t kTokenizerMagic = 20240328;

class Tokenizer {
 public:
  enum class Kind { bytes, words, bpe };

  // tokens[id] are the id's bytes, 1 to 255 of them. Error when one is not, or end_of_text is not an id.
  // `name` is for messages.
  Tokenizer(std::vector<std::string> tokens, std::int32_t end_of_text, std::string name = "tokenizer");

  // Ids 0 .. 255 are the bytes themselves, 256 is end-of-text.
  static Tokenizer bytes();

  static Tokenizer read(const std::string& path);
  static Tokenizer parse(ByteReader in);
  void write(const std::string& path) const;  // version 2 of the format

  Kind kind() const { return kind_; }
  std::string_view kind_name() const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::int32_t end_of_text() const { return end_of_text_; }

  // The id's bytes. Error when it is out of range.
  const std::string& token(std::int32_t id) const;

  // Error when a model of vocab_size tokens is not one for this tokenizer. `model` is its file, or empty.
  void check_vocabulary(const std::string& model, std::int64_t vocab_size) const;

  std::string decode(std::span<const std::int32_t> ids) const;
  std::vector<std::int32_t> encode(std::string_view text) const;

 private:
  Kind derive_kind() const;
  std::int32_t longest_match(std::string_view text) const;  // -1: none

  std::string name_;
  std::vector<std::string> tokens_;
  std::int32_t end_of_text_;
  // Every id but end-of-text, in the order of its bytes: tokens that begin alike are neighbours, the shortest
  // first.
  std::vector<std::int32_t> sorted_;
  Kind kind_;
};

// The tokenizer at `path`, or if that is empty the one that a run left beside its model, if there is one.
std::optional<Tokenizer> find_tokenizer(const std::string& path, const std::string& model);

// The token that stands between documents; without a tokenizer it is taken to be the last one, as in GPT-2.
std::int32_t end_of_text(const std::optional<Tokenizer>& tokenizer, std::int64_t vocab_size);

}  // namespace inkling
