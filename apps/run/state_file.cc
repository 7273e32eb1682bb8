#include "apps/run/state_file.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/run/strict_json.h"

namespace inkling {

nlohmann::json state_to_json(const BatchPosition& p) {
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
            {"seed", p.seed}}}};
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
  return p;
}

}  // namespace inkling
