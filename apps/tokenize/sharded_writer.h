// Writes tokens into one shard, or into several of a limited size.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/text/shard.h"

namespace inkling {

class ShardedWriter {
 public:
  // shard_tokens = 0: one shard, <prefix>.bin. Otherwise shards of at most shard_tokens tokens:
  // <prefix>_000001.bin and so on.
  ShardedWriter(std::string prefix, std::int64_t vocab_size, std::int64_t shard_tokens);

  void append(std::span<const std::int32_t> ids);
  std::int64_t size() const { return size_; }  // the number of tokens in all shards

  // Makes the shards appear under their names, which it returns. A loss mask or document starts of an older
  // shard with the same name are removed. Error if there are older shards
  // with higher numbers: a pattern would match them, too, as if they belonged to this text.
  std::vector<std::string> commit();

 private:
  std::string path(std::size_t number) const;
  void open_shard();

  std::string prefix_;
  std::int64_t vocab_size_, shard_tokens_, size_ = 0;
  std::vector<std::unique_ptr<ShardWriter>> shards_;
};

}  // namespace inkling
