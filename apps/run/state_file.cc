#include "apps/run/state_file.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/run/strict_json.h"

namespace inkling {

namespace {

nlohmann::json to_json(const std::vector<ShardId>& shards) {
  nlohmann::json all = nlohmann::json::array();
  for (const ShardId& shard : shards) {
    nlohmann::json& one = all.emplace_back();
    one = {{"file", shard.file}, {"bytes", shard.bytes}, {"xxh3", shard.checksum}};
    if (!shard.mask.empty()) one["mask"] = shard.mask;
    if (!shard.starts.empty()) one["starts"] = shard.starts;
  }
  return all;
}

// Runs that older programs saved do not have these arrays.
std::vector<ShardId> shards_in(const JsonObject& object, const std::string& key) {
  std::vector<ShardId> shards;
  if (!object.has(key)) return shards;
  for (const JsonObject& shard : object.objects(key)) {
    const auto text_if_any = [&](const char* name) { return shard.has(name) ? shard.text(name) : ""; };
    shards.push_back({shard.text("file"), shard.integer("bytes", 1, std::numeric_limits<std::int64_t>::max()),
                      shard.text("xxh3"), text_if_any("mask"), text_if_any("starts")});
  }
  return shards;
}

}  // namespace

nlohmann::json state_to_json(const BatchPosition& p, const std::vector<ShardId>& validation) {
  return {{"data",
           {{"epoch", p.epoch},
            {"shard_order", p.shard_order},
            {"shard", p.shard},
            {"sample", p.sample},
            {"draws", p.draws},
            {"B", p.B},
            {"T", p.T},
            {"tokens", p.tokens},
            {"shuffle", p.shuffle},
            {"align_documents", p.align_documents},
            {"seed", p.seed},
            {"shards", to_json(p.shards)}}},
          {"validation_shards", to_json(validation)}};
}

BatchPosition state_from_json(const nlohmann::json& state, const std::string& path) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const JsonObject data = JsonObject(state, path).object("data");
  BatchPosition p;
  p.epoch = data.integer("epoch", 0, kMostBatches);
  p.shard_order = data.integers("shard_order", 0, kMost);
  p.shard = data.integer("shard", 0, kMost);
  p.sample = data.integer("sample", 0, kMost);
  p.draws = static_cast<std::uint64_t>(data.integer("draws", 0, kMostBatches));
  p.B = data.integer("B", 1, kMost);
  p.T = data.integer("T", 1, kMost);
  p.tokens = data.integer("tokens", 1, kMost);
  p.shuffle = data.boolean("shuffle");
  p.align_documents = data.boolean("align_documents");
  p.seed = static_cast<std::uint32_t>(data.integer("seed", 0, std::numeric_limits<std::uint32_t>::max()));
  p.shards = shards_in(data, "shards");
  return p;
}

std::vector<ShardId> validation_from_json(const nlohmann::json& state, const std::string& path) {
  return shards_in(JsonObject(state, path), "validation_shards");
}

}  // namespace inkling
