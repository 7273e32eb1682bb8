// Token flags: a file beside a token shard, with one flag (0 or 1) for each token of the shard.
//
// There are two kinds, which live beside the shard `my_train.bin`:
//   my_train.mask     the loss mask. 1: the token counts as a target. 0: it does not, so its loss and its
//                     gradient are 0. The flag belongs to the token that is predicted, not to the token that
//                     predicts it. A shard without a loss mask counts every token.
//   my_train.starts   the document starts. 1: a document or conversation begins at this token. In chats, an
//                     end-of-text also closes each turn of the assistant, so the tokens alone do not say
//                     where a conversation begins. A shard without this file has a document at each
//                     end-of-text. The flags are not in the loss mask, because readers of loss masks expect
//                     0 or 1 there.
//
// Layout, little-endian: a header of 256 int32 with h[0] the magic number, h[1] = 1, h[2] the number of
// tokens, and in document starts h[3] = T, the length of the rows that the shard was packed in (packing.h),
// or 0 if it was not packed. After the header comes one uint8 for each token. The shard itself remains an
// ordinary shard of llm.c. Read next: data_shard.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/binary_file.h"

namespace inkling {

struct FlagKind {
  std::int32_t magic;
  const char* name;       // for errors
  const char* extension;  // of the file's name
};
inline constexpr FlagKind kLossMask = {20261121, "loss mask", ".mask"};
inline constexpr FlagKind kDocumentStarts = {20261123, "file of document starts", ".starts"};

// Returns the path of a shard's flags: the shard's path with another extension.
std::string flags_beside(const FlagKind& kind, const std::string& shard);

// Removes the flags beside a shard, if there are any. Call it before a shard without flags is written, so
// that the flags of an older shard with the same name do not become flags of the new shard.
void remove_flags_beside(const std::string& shard);

struct FlagLayout {
  std::int64_t count = 0;       // the number of flags
  std::int64_t row_tokens = 0;  // T of the packed rows, or 0
};
// Reads the header, and checks it against the file's real size, and all flags. parse_token_flags() takes
// bytes, not a file, so that tests can pass any bytes.
FlagLayout parse_token_flags(ByteReader& in, const FlagKind& kind);

// A TokenFlags is immutable, so threads may call all its members at the same time.
class TokenFlags {
 public:
  // Opens the file. Error unless it has exactly `tokens` flags, one for each token of its shard.
  TokenFlags(const FlagKind& kind, const std::string& path, std::int64_t tokens);

  // Returns flag i. The caller ensures that 0 <= i < the number of tokens.
  bool operator[](std::int64_t i) const { return flags_[static_cast<std::size_t>(i)] != std::byte{0}; }
  // Returns how many flags are 1 in [begin, end). The range must be inside the shard.
  std::int64_t count(std::int64_t begin, std::int64_t end) const;

  std::int64_t row_tokens() const { return row_tokens_; }
  // The XXH3 checksum (64 bits, as 16 hexadecimal digits) of the whole file.
  std::string checksum() const;

 private:
  FileView file_;
  std::span<const std::byte> flags_;
  std::int64_t row_tokens_;
};

// Writes flags piece by piece. The complete file appears under its name at commit().
class TokenFlagsWriter {
 public:
  TokenFlagsWriter(const FlagKind& kind, const std::string& path, std::int64_t row_tokens = 0);

  void append(std::span<const std::uint8_t> flags);  // each 0 or 1
  std::int64_t size() const { return count_; }
  void commit();

 private:
  FlagKind kind_;
  std::string path_;
  AtomicFile file_;
  std::int64_t count_ = 0, row_tokens_;
};

}  // namespace inkling
