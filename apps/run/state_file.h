// state.json in a checkpoint: where in the data the run stands.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/text/batches.h"

namespace inkling {

nlohmann::json state_to_json(const BatchPosition& position);
// Error naming `path` when a value is missing or cannot be. Whether the position fits the data is for
// Batches::set_state to say.
BatchPosition state_from_json(const nlohmann::json& state, const std::string& path);

}  // namespace inkling
