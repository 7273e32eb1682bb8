// The file state.json in a checkpoint: the run's position in the training data.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "apps/text/batches.h"

namespace inkling {

nlohmann::json state_to_json(const BatchPosition& position);
// Reads a position from JSON. Error if a value is missing or impossible; the Error names `path`.
// Batches::set_state checks whether the position fits the data.
BatchPosition state_from_json(const nlohmann::json& state, const std::string& path);

}  // namespace inkling
