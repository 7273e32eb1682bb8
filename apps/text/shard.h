// Token shards: files of token ids in llm.c's format. The text was tokenized once, before training.
//
// A shard has a header and then ntok ids, as uint16 or, for vocabularies over 65,535, as uint32. An
// end-of-text token comes *before* each document. A data set is one or more shards, given by a glob pattern
// and taken in the order of their names. A Shard maps its file into memory, so opening a large shard is fast.
// All positions have 64 bits. This file does not know the meaning of an id (tokenizer.h) or the order in
// which tokens are used (batches.h). Read next: batches.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/binary_file.h"

namespace inkling {

constexpr std::int32_t kShardMagic = 20240520;      // the magic number of a shard with uint16 tokens
constexpr std::int32_t kWideShardMagic = 20240801;  // the magic number of a shard with uint32 tokens

// The type and the number of the tokens in a shard.
struct ShardLayout {
  bool wide = false;       // true if the tokens are uint32, false if uint16
  std::int64_t count = 0;  // the number of tokens
};
// Reads a shard's header and checks it against the file's real size. parse_shard() takes bytes, not a file,
// so that tests can pass any bytes.
ShardLayout parse_shard(ByteReader& in);

// Tells one shard from another: the name of its file without the folder, its size, and the XXH3 checksum (64
// bits, as 16 hexadecimal digits) of its header and of a sample of its tokens. `mask` and `starts` are the
// checksums of the files beside the shard (token_flags.h), empty without such a file. A run saves the ids of
// its shards, so that it does not continue on other data by mistake.
struct ShardId {
  std::string file;
  std::int64_t bytes = 0;
  std::string checksum;
  std::string mask = {}, starts = {};
};

// A Shard is immutable, so threads may call all its members at the same time.
class Shard {
 public:
  explicit Shard(const std::string& path);

  std::int64_t size() const { return layout_.count; }
  bool wide() const { return layout_.wide; }
  const std::string& path() const { return file_.path(); }

  // Returns token i. The caller ensures that 0 <= i < size(). An id above 2^31 in a wide shard is returned as
  // a negative number; check_tokens() rejects such an id.
  std::int32_t operator[](std::int64_t i) const;
  // Copies tokens [begin, begin + count) to `out`. The range must be inside the shard.
  void copy(std::int64_t begin, std::int64_t count, std::int32_t* out) const;

  // Returns the shard's id, without the files beside it. Reads the header and a sample of the tokens: 16
  // blocks of 4 KiB.
  ShardId id() const;

  // Reads all tokens of the shard, in parallel. Error if an id is not below `vocab_size`; the Error names the
  // shard and the index of the first such id.
  void check_tokens(std::int64_t vocab_size) const;

 private:
  FileView file_;
  ShardLayout layout_;
  const std::byte* tokens_ = nullptr;
};

// Writes a shard piece by piece. The complete shard appears under its name at commit(); without commit(), no
// file appears.
class ShardWriter {
 public:
  ShardWriter(const std::string& path, std::int64_t vocab_size);  // vocab_size decides: uint16 or uint32

  void append(std::span<const std::int32_t> tokens);  // Error for an id outside the vocabulary
  std::int64_t size() const { return count_; }
  void commit();

 private:
  void flush();

  std::string path_;
  AtomicFile file_;
  std::int64_t vocab_size_;
  bool wide_;
  std::int64_t count_ = 0;
  std::vector<std::byte> buffer_;
};

// Returns the file of this name, if it exists, otherwise the files that match a glob pattern, sorted by name.
// Tokenizer files (*_tokenizer.bin) and token flags (*.mask, *.starts) are left out if other files match too.
// Error if no file matches.
std::vector<std::string> find_shards(const std::string& pattern);

}  // namespace inkling
