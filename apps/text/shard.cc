#include "apps/text/shard.h"

#include <glob.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>

#include "apps/text/file_kind.h"
#include "apps/text/token_flags.h"
#include "core/error.h"
#include "core/parallel.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

constexpr std::int32_t kVersion = 1, kWideVersion = 7;
constexpr std::int64_t kLargestNarrowVocab = 65535;

// Loads token i of a mapped shard. memcpy needs no alignment and compiles to a plain load.
template <class T>
T load(const std::byte* tokens, std::int64_t i) {
  T value;
  std::memcpy(&value, tokens + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <class T>
void copy_widening(const std::byte* tokens, std::int64_t begin, std::int64_t count, std::int32_t* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<std::int32_t>(load<T>(tokens, begin + i));
}

// Returns the first index in [begin, end) whose token is >= vocab_size, or `end` if there is no such token. A
// token outside the vocabulary is very rare. So first a loop without branches computes the largest token of
// the block. The block is searched only if this token is too large.
template <class T>
std::int64_t first_outside(const std::byte* tokens, std::int64_t begin, std::int64_t end,
                           std::int64_t vocab_size) {
  T largest = 0;
  for (std::int64_t i = begin; i < end; ++i) largest = std::max(largest, load<T>(tokens, i));
  if (static_cast<std::int64_t>(largest) < vocab_size) return end;
  std::int64_t i = begin;
  while (static_cast<std::int64_t>(load<T>(tokens, i)) < vocab_size) ++i;
  return i;
}

}  // namespace

ShardLayout parse_shard(ByteReader& in) {
  ShardLayout layout;
  if (in.remaining_bytes() >= 4) {
    ByteReader peek = in, beginning = in;
    const auto magic = peek.read<std::int32_t>("magic");
    layout.wide = magic == kWideShardMagic;
    if (!layout.wide && magic != kShardMagic) {
      const auto bytes =
          beginning.take(std::min<std::int64_t>(in.remaining_bytes(), Header::kBytes), "header");
      refuse_as_shard(in.path(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }
  const Header header = read_header(in, layout.wide ? kWideShardMagic : kShardMagic, "token shard");
  const std::int32_t version = layout.wide ? kWideVersion : kVersion;
  if (header[1] != version)
    fail_at_entry(in, 1, str("token shard version is ", header[1], ", expected ", version));
  if (header[2] <= 0)
    fail_at_entry(in, 2, str("token shard has ", header[2], " tokens, expected at least 1"));
  layout.count = header[2];
  const std::int64_t expected = layout.count * (layout.wide ? 4 : 2);
  if (in.remaining_bytes() != expected) {
    fail_at_entry(in, 2,
                  str("file size is ", in.size_bytes(), ", expected ", in.offset() + expected, " for ",
                      layout.count, layout.wide ? " uint32" : " uint16", " tokens"));
  }
  return layout;
}

Shard::Shard(const std::string& path) : file_(path) {
  ByteReader in(file_);
  layout_ = parse_shard(in);
  tokens_ = file_.bytes().data() + Header::kBytes;
}

std::int32_t Shard::operator[](std::int64_t i) const {
  return layout_.wide ? static_cast<std::int32_t>(load<std::uint32_t>(tokens_, i))
                      : load<std::uint16_t>(tokens_, i);
}

void Shard::copy(std::int64_t begin, std::int64_t count, std::int32_t* out) const {
  layout_.wide ? copy_widening<std::uint32_t>(tokens_, begin, count, out)
               : copy_widening<std::uint16_t>(tokens_, begin, count, out);
}

ShardId Shard::id() const {
  constexpr std::size_t kBlocks = 16, kBlockBytes = 4096;
  const std::span<const std::byte> bytes = file_.bytes();
  std::vector<std::byte> sample(bytes.begin(), bytes.begin() + Header::kBytes);
  const std::size_t size = std::min(kBlockBytes, bytes.size()), last = bytes.size() - size;
  for (std::size_t block = 0; block < kBlocks; ++block) {  // the first at the beginning, the last at the end
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(last * block / (kBlocks - 1));
    sample.insert(sample.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
  }
  char checksum[24];
  std::snprintf(checksum, sizeof checksum, "%016" PRIx64,
                static_cast<std::uint64_t>(XXH3_64bits(sample.data(), sample.size())));
  return {std::filesystem::path(path()).filename().string(), std::ssize(bytes), checksum};
}

void Shard::check_tokens(std::int64_t vocab_size) const {
  constexpr std::int64_t kBlock = 1 << 16;
  std::atomic<std::int64_t> first{size()};
  parallel_for(size(), kBlock, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t found = layout_.wide ? first_outside<std::uint32_t>(tokens_, begin, end, vocab_size)
                                            : first_outside<std::uint16_t>(tokens_, begin, end, vocab_size);
    if (found == end) return;
    std::int64_t seen = first.load();
    while (found < seen && !first.compare_exchange_weak(seen, found)) {
    }
  });
  if (first == size()) return;
  fail(path(), ": token ", first, " is ", static_cast<std::uint32_t>((*this)[first]),
       ", expected 0 .. V-1=", vocab_size - 1);
}

ShardWriter::ShardWriter(const std::string& path, std::int64_t vocab_size)
    : path_(path), file_(path), vocab_size_(vocab_size), wide_(vocab_size > kLargestNarrowVocab) {
  const Header placeholder;
  file_.write(placeholder.ints, Header::kBytes);
}

void ShardWriter::append(std::span<const std::int32_t> tokens) {
  constexpr std::size_t kFlushBytes = 1 << 16;
  const std::size_t width = wide_ ? 4 : 2;
  for (std::int32_t token : tokens) {
    if (token < 0 || token >= vocab_size_) {
      fail(path_, ": token ", count_, " is ", token, ", expected 0 .. V-1=", vocab_size_ - 1);
    }
    // The CPU is little-endian, so the first two bytes of `token` are the token as uint16.
    const auto* bytes = reinterpret_cast<const std::byte*>(&token);
    buffer_.insert(buffer_.end(), bytes, bytes + width);
    if (buffer_.size() >= kFlushBytes) flush();
    ++count_;
  }
}

void ShardWriter::flush() {
  file_.write(buffer_.data(), static_cast<std::int64_t>(buffer_.size()));
  buffer_.clear();
}

void ShardWriter::commit() {
  if (count_ < 1 || count_ > std::numeric_limits<std::int32_t>::max()) {
    fail(path_, ": the shard has ", count_, " tokens, expected 1 .. ",
         std::numeric_limits<std::int32_t>::max());
  }
  flush();
  Header header;
  header[0] = wide_ ? kWideShardMagic : kShardMagic;
  header[1] = wide_ ? kWideVersion : kVersion;
  header[2] = static_cast<std::int32_t>(count_);
  file_.write_at(0, header.ints, Header::kBytes);
  file_.commit();
}

std::vector<std::string> find_shards(const std::string& pattern) {
  // The name of an existing file is not a pattern, whatever characters it has.
  if (std::error_code none; std::filesystem::exists(pattern, none)) return {pattern};
  struct Matches {
    glob_t found = {};
    ~Matches() { globfree(&found); }
  } matches;
  const int status = glob(pattern.c_str(), 0, nullptr, &matches.found);
  if (status == GLOB_NOMATCH || (status == 0 && matches.found.gl_pathc == 0)) {
    fail(pattern,
         ": no file has this name or matches this pattern, expected a token shard or a pattern for token "
         "shards");
  }
  if (status != 0)
    fail(pattern, ": the search for files that match this pattern failed, expected a readable directory");
  std::vector<std::string> paths(matches.found.gl_pathv, matches.found.gl_pathv + matches.found.gl_pathc);
  // `tokenize` writes its tokenizer into the same directory as its shards, so a pattern may match the
  // tokenizer too. If the tokenizer is the only match, the user asked for it; then reading it as a shard
  // gives the error.
  if (paths.size() > 1) {
    std::erase_if(paths, [](const std::string& p) {
      return p.ends_with("_tokenizer.bin") || p.ends_with(kLossMask.extension) ||
             p.ends_with(kDocumentStarts.extension);
    });
  }
  if (paths.empty())
    fail(pattern,
         ": matches only tokenizers and token flags (*.mask, *.starts), expected at least one token shard");
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace inkling
