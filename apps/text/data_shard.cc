#include "apps/text/data_shard.h"

#include <filesystem>

#include "core/error.h"

namespace inkling {

namespace {

std::optional<TokenFlags> open_flags(const FlagKind& kind, const Shard& shard) {
  const std::string path = flags_beside(kind, shard.path());
  if (!std::filesystem::exists(path)) return std::nullopt;
  return TokenFlags(kind, path, shard.size());
}

void expect_same_flags(const FlagKind& kind, const std::string& saved, const std::string& now,
                       const DataShard& shard) {
  if (saved == now) return;
  const std::string path = flags_beside(kind, shard.path());
  if (saved.empty())
    fail(path, ": there is a ", kind.name, " beside the shard, expected none, as when the run started");
  if (now.empty())
    fail(path, ": there is no ", kind.name, " beside the shard, expected the same as when the run started");
  fail(path, ": the ", kind.name, " is not the same as when the run started (checksum ", now, ", expected ",
       saved, ")");
}

}  // namespace

DataShard::DataShard(const std::string& path, LossMask mask) : tokens_(path) {
  if (mask == LossMask::use) mask_ = open_flags(kLossMask, tokens_);
  starts_ = open_flags(kDocumentStarts, tokens_);
}

void DataShard::check_row_tokens(std::int64_t T) const {
  if (row_tokens() == 0 || row_tokens() == T) return;
  fail(path(), ": its conversations are packed in rows of ", row_tokens(), " tokens, got --seq-len ", T,
       ", expected --seq-len ", row_tokens());
}

void DataShard::copy_positions(std::int64_t first, std::int64_t count, std::int32_t end_of_text,
                               std::int32_t* positions) const {
  for (std::int64_t t = 0; t < count; ++t)
    positions[t] = t == 0 || begins_document(first + t, end_of_text) ? 0 : positions[t - 1] + 1;
}

std::vector<std::int32_t> sample_prompt(const DataShard& shard, std::int32_t end_of_text, std::int64_t most) {
  std::vector<std::int32_t> prompt = {end_of_text};
  if (!shard.has_loss_mask()) return prompt;
  std::int64_t end = 1;
  while (end < shard.size() && !shard.counts(end)) ++end;
  std::int64_t begin = end - 1;
  while (begin > 0 && !shard.begins_document(begin, end_of_text)) --begin;
  if (end == shard.size() || end - begin > most) return prompt;
  prompt.resize(static_cast<std::size_t>(end - begin));
  shard.tokens().copy(begin, end - begin, prompt.data());
  return prompt;
}

DocumentMarks find_document_marks(std::span<const std::string> shards) {
  DocumentMarks marks;
  for (const std::string& shard : shards) {
    const std::string path = flags_beside(kDocumentStarts, shard);
    if (!std::filesystem::exists(path)) continue;
    const FileView file(path);
    ByteReader in(file);
    const std::int64_t row_tokens = parse_token_flags(in, kDocumentStarts).row_tokens;
    if (marks.row_tokens != 0 && row_tokens != 0 && row_tokens != marks.row_tokens)
      fail(path, ": the shard is packed in rows of ", row_tokens, " tokens, expected ", marks.row_tokens,
           " as in the shards before it");
    marks.starts = true;
    if (row_tokens != 0) marks.row_tokens = row_tokens;
  }
  return marks;
}

ShardId DataShard::id() const {
  ShardId id = tokens_.id();
  if (mask_) id.mask = mask_->checksum();
  if (starts_) id.starts = starts_->checksum();
  return id;
}

void expect_counted_targets(std::int64_t counted, std::span<const std::string> paths) {
  if (counted > 0) return;
  fail(paths.front(), paths.size() > 1 ? " and the other shards" : "",
       ": no token counts as a target, expected at least one 1 in ", flags_beside(kLossMask, paths.front()),
       paths.size() > 1 ? " or the masks beside it" : "", "; --no-loss-mask counts every token");
}

void expect_same_contents(std::span<const ShardId> saved, std::span<const DataShard> shards) {
  if (saved.size() != shards.size()) fail("the run has ", saved.size(), " shards, got ", shards.size());
  for (std::size_t i = 0; i < saved.size(); ++i) {
    const ShardId now = shards[i].id();
    if (now.bytes != saved[i].bytes) {
      fail(shards[i].path(), ": has ", now.bytes, " bytes, expected ", saved[i].bytes, " as in ",
           saved[i].file, " of the run");
    }
    if (now.checksum != saved[i].checksum) {
      fail(shards[i].path(), ": the contents differ from ", saved[i].file, " of the run (checksum ",
           now.checksum, ", expected ", saved[i].checksum, ")");
    }
    expect_same_flags(kLossMask, saved[i].mask, now.mask, shards[i]);
    expect_same_flags(kDocumentStarts, saved[i].starts, now.starts, shards[i]);
  }
}

}  // namespace inkling
