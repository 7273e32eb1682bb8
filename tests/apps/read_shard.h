// read_shard: all token ids of a shard.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/shard.h"

namespace inkling::test {

inline std::vector<std::int32_t> read_shard(const std::string& path) {
  const Shard shard(path);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(shard.size()));
  shard.copy(0, shard.size(), ids.data());
  return ids;
}

}  // namespace inkling::test
