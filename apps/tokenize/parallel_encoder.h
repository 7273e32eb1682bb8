// Encodes many texts on all threads, and hands out their tokens in the order of the texts.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// Texts are collected, and a few megabytes are encoded together: each thread encodes a part of about the same
// size. A long text is cut where no token changes (pieces.h), so the tokens are the same for any number of
// threads.
class ParallelEncoder {
 public:
  // Receives the tokens of the texts, in order. `tag` is the text's tag.
  using Sink = std::function<void(bool tag, std::span<const std::int32_t> ids)>;

  // The tokenizer must outlive the encoder.
  ParallelEncoder(const Tokenizer& tokenizer, Sink sink);

  // Adds a text. An end-of-text token comes before it if it `begins` a document. `file` and `at` say where it
  // comes from, for errors. The text is copied.
  void add(std::string_view text, bool begins, bool tag, const std::string& file, std::int64_t at);
  // Encodes the texts that are not encoded yet. Call it after the last text.
  void finish();

 private:
  struct Text {
    std::size_t begin, size;  // in buffer_
    bool begins, tag;
    std::string file;
    std::int64_t at;
  };
  // The share of one thread: some consecutive texts, and their tokens.
  struct Share {
    std::size_t first, end;
    std::vector<std::int32_t> ids;
    std::vector<std::size_t> counts;  // how many of the ids belong to each text
    std::string error;
  };

  void encode(Share& share, TextEncoder& encoder) const;

  const Tokenizer* tokenizer_;
  Sink sink_;
  std::string buffer_;
  std::vector<Text> texts_;
  std::vector<TextEncoder> encoders_;  // one for each share
  std::vector<Share> shares_;
};

// Returns a position in [0, at] where the text can be cut: the nearest one before `at` that changes no token
// or, if there is none, the beginning of the character at `at`.
std::size_t cut_near(std::string_view text, std::size_t at);

}  // namespace inkling
