// Writes the ops of some training steps as a time line, for chrome://tracing or https://ui.perfetto.dev. The
// format is the Trace Event Format; its "X" events have a beginning and a duration.
//
// The time line has a row for each thread. The row of thread 0, the main thread, has the steps, reading data,
// forward ops and the update. Nodes of backward are in the rows of the threads that ran them. Times are in
// microseconds since the profile began. The arguments of an event are the shape of the op's result and the
// op's work (core/profile.h, Work).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/profile.h"

namespace inkling {

nlohmann::json trace_of(const std::vector<const ProfileStep*>& steps);
void write_trace(const std::string& path, const std::vector<const ProfileStep*>& steps);

}  // namespace inkling
