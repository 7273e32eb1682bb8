// The flags of `generate` and `chat` that say how the next token is chosen.
#pragma once

#include <CLI/CLI.hpp>

#include "nn/sampler.h"

namespace inkling {

constexpr std::int64_t kMostTopK = std::int64_t{1} << 40;

// Adds --temperature, --greedy, --top-k, --top-p, --min-p and --repetition-penalty. `settings` must outlive
// the parsing. --greedy sets the temperature to 0.
void add_sampler_flags(CLI::App& command, SamplerSettings& settings);

}  // namespace inkling
