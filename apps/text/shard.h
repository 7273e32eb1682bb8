// Token shards: text that was tokenized once and lies on disk as plain numbers, in llm.c's format.
//
// A file is a header and then ntok ids, as uint16 or, for vocabularies over 65,535, as uint32. An end-of-text
// token comes *before* each document. A data set is one shard or many, named by a glob pattern and taken in
// the order of their names. A Shard maps its file, so opening one of any size costs nothing; positions are
// 64-bit throughout. Not known here: what an id means (tokenizer.h), in which order tokens are used
// (batches.h, which is what to read next).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/binary_file.h"

namespace inkling {

constexpr std::int32_t kShardMagic = 20240520;      // tokens are uint16
constexpr std::int32_t kWideShardMagic = 20240801;  // tokens are uint32

// Where a shard's tokens lie within its bytes.
struct ShardLayout {
  bool wide = false;       // uint32 tokens, else uint16
  std::int64_t count = 0;  // tokens
};
// Checks the header against the real size. Needs no file, so that tests can feed it any bytes.
ShardLayout parse_shard(ByteReader& in);

// Thread safety: immutable; all members may be called at once.
class Shard {
 public:
  explicit Shard(const std::string& path);

  std::int64_t size() const { return layout_.count; }
  bool wide() const { return layout_.wide; }
  const std::string& path() const { return file_.path(); }

  // Token i, 0 <= i < size() (the caller's duty). A wide id past 2^31 shows as a negative one; check_tokens
  // refuses both.
  std::int32_t operator[](std::int64_t i) const;
  // Tokens [begin, begin + count) into `out`; the range must lie inside the shard.
  void copy(std::int64_t begin, std::int64_t count, std::int32_t* out) const;

  // Error naming the shard and the index of the first id that is not below `vocab_size`. Reads everything, in
  // parallel.
  void check_tokens(std::int64_t vocab_size) const;

 private:
  FileView file_;
  ShardLayout layout_;
  const std::byte* tokens_ = nullptr;
};

// Writes tokens one piece after another. The shard appears under its name, whole, at commit(); without it,
// nothing does.
class ShardWriter {
 public:
  ShardWriter(const std::string& path, std::int64_t vocab_size);  // the kind follows from the vocabulary

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

// The files a glob pattern names, sorted; a tokenizer's among them, *_tokenizer.bin, is passed over. Error
// when there is none.
std::vector<std::string> find_shards(const std::string& pattern);

}  // namespace inkling
