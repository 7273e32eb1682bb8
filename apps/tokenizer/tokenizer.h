// A tokenizer: a table with the bytes of each token id, and the encoding of text as ids.
//
// A language model never sees letters. It sees ids 0 .. V-1, and the tokenizer's table gives the bytes of
// each id. The tokens of a table decide how it encodes text:
//   bytes  Every token is one byte. Any text can be encoded, but the sequences are long.
//   BPE    Some tokens are longer than one byte. Either all 256 bytes are tokens, too, or each longer token
//          consists of two other tokens. The text is cut into pieces (pieces.h), and each piece is encoded
//          by byte pair encoding (bpe.h), as GPT-2 does.
//   words  All other tables. At each position, the longest token that matches is taken.
// Text that no token matches is an error. It cannot occur if all 256 bytes are tokens.
//
// End-of-text is the token that separates documents. It has an id and, for printing, bytes. If these bytes
// occur in a text, they are encoded as ordinary text, so no document can pretend to end. The end-of-text
// token does not affect the kind of the table.
//
// Thread safety: a Tokenizer is immutable after construction. Its files are llm.c's `*_tokenizer.bin`;
// merges_files.h reads and writes the files of GPT-2 and Hugging Face. Read next: pieces.h and bpe.h, or
// shard.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenizer/bpe.h"
#include "core/binary_file.h"

namespace inkling {

constexpr std::int32_t kTokenizerMagic = 20240328;
// The bytes of end-of-text in the tokenizers that inkling makes, as in GPT-2.
inline constexpr std::string_view kEndOfTextBytes = "<|endoftext|>";

class Tokenizer {
 public:
  enum class Kind { bytes, words, bpe };

  // Makes a tokenizer from a table: tokens[id] are the 1 to 255 bytes of the id. Error if a token has another
  // length, or if end_of_text is not an id. `name` is used in error messages.
  Tokenizer(std::vector<std::string> tokens, std::int32_t end_of_text, std::string name = "tokenizer");

  // The byte tokenizer: ids 0 .. 255 are the bytes; 256 is end-of-text.
  static Tokenizer bytes();

  // Reads a `*_tokenizer.bin`, or a directory with the files of merges_files.h.
  static Tokenizer read(const std::string& path);
  static Tokenizer parse(ByteReader in);
  void write(const std::string& path) const;  // writes version 2 of llm.c's format

  Kind kind() const { return kind_; }
  std::string_view kind_name() const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(tokens_.size()); }
  std::int32_t end_of_text() const { return end_of_text_; }

  // Returns the bytes of a token id. Error if the id is out of range.
  const std::string& token(std::int32_t id) const;

  // Error unless this tokenizer has vocab_size tokens, the vocabulary of the model. `model` is the path of
  // the model's file, or empty.
  void check_vocabulary(const std::string& model, std::int64_t vocab_size) const;

  std::string decode(std::span<const std::int32_t> ids) const;
  std::vector<std::int32_t> encode(std::string_view text) const;

  // The merges of a BPE tokenizer. Empty for the other kinds.
  const BpeTable& bpe() const { return bpe_; }

 private:
  Kind derive_kind() const;
  std::int32_t longest_match(std::string_view text) const;  // returns -1 if no token matches
  [[noreturn]] void fail_to_encode(std::string_view text, std::size_t at) const;

  friend class TextEncoder;

  std::string name_;
  std::vector<std::string> tokens_;
  std::int32_t end_of_text_;
  // All ids except end-of-text, sorted by their bytes: tokens with the same beginning are neighbours, the
  // shortest token first.
  std::vector<std::int32_t> sorted_;
  Kind kind_;
  BpeTable bpe_;
};

// Encodes many texts with one tokenizer. A BPE tokenizer encodes them faster than with Tokenizer::encode,
// because the encodings of frequent pieces are remembered. Only one thread at a time may use it; the
// tokenizer must outlive it.
class TextEncoder {
 public:
  explicit TextEncoder(const Tokenizer& tokenizer);

  // Appends the ids of the text's tokens. Error if no token matches the text.
  void encode(std::string_view text, std::vector<std::int32_t>& ids);

 private:
  const Tokenizer* tokenizer_;
  std::optional<BpeEncoder> bpe_;
};

// How the tokenizer of a model or shard is found: for help texts and errors.
inline constexpr std::string_view kTokenizerRule =
    "without --tokenizer, the first of these beside the model or shard is used: "
    "NAME_tokenizer.bin, if the file's name begins with NAME; tokenizer.bin; "
    "vocab.json and merges.txt; encoder.json and vocab.bpe";

// Returns the path where the tokenizer of a model file is written: gpt2_tokenizer.bin for gpt2.bin.
std::string tokenizer_path_for(const std::string& model);
// Returns the path of the tokenizer beside a model or shard by the rule above, or "" if there is none:
// gpt2_tokenizer.bin for gpt2.bin and for gpt2_124M.bin, my_tokenizer.bin for my_train_000001.bin. Of several
// names, the longest is taken. The path is the directory if the tokenizer is vocab.json and merges.txt.
std::string tokenizer_path_beside(const std::string& model);

// Reads the tokenizer at `path`. If `path` is empty, reads the tokenizer beside `model`, or returns nothing
// if there is none.
std::optional<Tokenizer> find_tokenizer(const std::string& path, const std::string& model);

// Returns the id of end-of-text. Without a tokenizer, this id is assumed to be the last id, as in GPT-2.
std::int32_t end_of_text(const std::optional<Tokenizer>& tokenizer, std::int64_t vocab_size);

}  // namespace inkling
