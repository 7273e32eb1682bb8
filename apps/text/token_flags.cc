#include "apps/text/token_flags.h"

#include <xxhash.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "core/error.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

constexpr std::int32_t kVersion = 1;
constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max();

}  // namespace

std::string flags_beside(const FlagKind& kind, const std::string& shard) {
  return std::filesystem::path(shard).replace_extension(kind.extension).string();
}

void remove_flags_beside(const std::string& shard) {
  for (const FlagKind& kind : {kLossMask, kDocumentStarts}) {
    const std::string path = flags_beside(kind, shard);
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) fail(path, ": cannot remove the ", kind.name, " of an older shard: ", error.message());
  }
}

FlagLayout parse_token_flags(ByteReader& in, const FlagKind& kind) {
  const Header header = read_header(in, kind.magic, kind.name);
  if (header[1] != kVersion)
    fail_at_entry(in, 1, str(kind.name, " version is ", header[1], ", expected ", kVersion));
  if (header[2] <= 0)
    fail_at_entry(in, 2, str(kind.name, " has ", header[2], " tokens, expected at least 1"));
  if (header[3] < 0)
    fail_at_entry(in, 3, str(kind.name, " has rows of ", header[3], " tokens, expected 0 or more"));
  if (in.remaining_bytes() != header[2]) {
    fail_at_entry(in, 2,
                  str("file size is ", in.size_bytes(), ", expected ", in.offset() + header[2], " for ",
                      header[2], " tokens"));
  }
  const auto flags = in.take(header[2], "the flags");
  const auto odd =
      std::find_if(flags.begin(), flags.end(), [](std::byte flag) { return flag > std::byte{1}; });
  if (odd != flags.end()) {
    fail(in.path(), ": the flag of token ", odd - flags.begin(), " is ", std::to_integer<int>(*odd),
         ", expected 0 or 1 (at byte ", Header::kBytes + (odd - flags.begin()), ")");
  }
  return {.count = header[2], .row_tokens = header[3]};
}

TokenFlags::TokenFlags(const FlagKind& kind, const std::string& path, std::int64_t tokens) : file_(path) {
  ByteReader in(file_);
  const FlagLayout layout = parse_token_flags(in, kind);
  if (layout.count != tokens)
    fail(path, ": has ", layout.count, " flags, expected ", tokens, ", the number of tokens of its shard");
  flags_ = file_.bytes().subspan(Header::kBytes);
  row_tokens_ = layout.row_tokens;
}

std::int64_t TokenFlags::count(std::int64_t begin, std::int64_t end) const {
  return std::count(flags_.begin() + begin, flags_.begin() + end, std::byte{1});
}

std::string TokenFlags::checksum() const {
  char text[24];
  std::snprintf(text, sizeof text, "%016" PRIx64,
                static_cast<std::uint64_t>(XXH3_64bits(file_.bytes().data(), file_.bytes().size())));
  return text;
}

TokenFlagsWriter::TokenFlagsWriter(const FlagKind& kind, const std::string& path, std::int64_t row_tokens)
    : kind_(kind), path_(path), file_(path), row_tokens_(row_tokens) {
  const Header placeholder;
  file_.write(placeholder.ints, Header::kBytes);
}

void TokenFlagsWriter::append(std::span<const std::uint8_t> flags) {
  file_.write(flags.data(), std::ssize(flags));
  count_ += std::ssize(flags);
}

void TokenFlagsWriter::commit() {
  if (count_ < 1 || count_ > kMostTokens || row_tokens_ > kMostTokens) {
    fail(path_, ": the ", kind_.name, " has ", count_, " tokens in rows of ", row_tokens_, ", expected 1 .. ",
         kMostTokens);
  }
  Header header;
  header[0] = kind_.magic, header[1] = kVersion;
  header[2] = static_cast<std::int32_t>(count_), header[3] = static_cast<std::int32_t>(row_tokens_);
  file_.write_at(0, header.ints, Header::kBytes);
  file_.commit();
}

}  // namespace inkling
