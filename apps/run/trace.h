// A step's ops on a time line, for chrome://tracing or https://ui.perfetto.dev: the Trace Event Format, in
// which an "X" event is one that lasts.
//
// Threads are rows. Thread 0 takes the steps: on it lie the step itself, data, forward ops and the update;
// backward's nodes lie on the threads that ran them. Times are microseconds since the profile began. An
// event's arguments are the shape of the op's result and what it had to do (core/profile.h, Work).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/profile.h"

namespace inkling {

nlohmann::json trace_of(const std::vector<const ProfileStep*>& steps);
void write_trace(const std::string& path, const std::vector<const ProfileStep*>& steps);

}  // namespace inkling
