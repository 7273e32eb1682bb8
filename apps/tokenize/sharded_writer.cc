#include "apps/tokenize/sharded_writer.h"

#include <algorithm>
#include <filesystem>

#include "apps/text/token_flags.h"
#include "core/error.h"

namespace inkling {

ShardedWriter::ShardedWriter(std::string prefix, std::int64_t vocab_size, std::int64_t shard_tokens)
    : prefix_(std::move(prefix)), vocab_size_(vocab_size), shard_tokens_(shard_tokens) {}

std::string ShardedWriter::path(std::size_t number) const {
  if (shard_tokens_ == 0) return prefix_ + ".bin";
  const std::string digits = std::to_string(number);
  return prefix_ + "_" + std::string(6 - std::min<std::size_t>(digits.size(), 6), '0') + digits + ".bin";
}

void ShardedWriter::open_shard() {
  shards_.push_back(std::make_unique<ShardWriter>(path(shards_.size() + 1), vocab_size_));
}

void ShardedWriter::append(std::span<const std::int32_t> ids) {
  while (!ids.empty()) {
    if (shards_.empty() || (shard_tokens_ > 0 && shards_.back()->size() == shard_tokens_)) open_shard();
    const std::int64_t room = shard_tokens_ == 0 ? std::ssize(ids) : shard_tokens_ - shards_.back()->size();
    const auto part = ids.first(static_cast<std::size_t>(std::min(room, std::ssize(ids))));
    shards_.back()->append(part);
    size_ += std::ssize(part);
    ids = ids.subspan(part.size());
  }
}

std::vector<std::string> ShardedWriter::commit() {
  if (shards_.empty()) open_shard();
  const std::string next = path(shards_.size() + 1);
  if (shard_tokens_ > 0 && std::filesystem::exists(next))
    fail(next, ": is a shard of an earlier text, expected no such file; remove it or choose another --out");
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    remove_flags_beside(path(i + 1));
    shards_[i]->commit();
    paths.push_back(path(i + 1));
  }
  return paths;
}

}  // namespace inkling
