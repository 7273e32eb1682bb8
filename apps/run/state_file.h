// The file state.json in a checkpoint: the run's position in the training data, and the ids of its shards.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/text/batches.h"

namespace inkling {

// `validation` has the ids of the shards for validation.
nlohmann::json state_to_json(const BatchPosition& position, const std::vector<ShardId>& validation = {});
// Reads a position from JSON. Error if a value is missing or impossible; the Error names `path`.
// Batches::set_state checks whether the position fits the data.
BatchPosition state_from_json(const nlohmann::json& state, const std::string& path);
std::vector<ShardId> validation_from_json(const nlohmann::json& state, const std::string& path);

}  // namespace inkling
