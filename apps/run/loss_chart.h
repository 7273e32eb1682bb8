// The loss curve as text: the training loss of a run, drawn in dots, with the theoretical minimum over rows
// as a dashed line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace inkling {

// Draws the losses, which are pairs (step, loss). If there are more steps than columns, a column shows the
// mean loss of its steps. Returns an empty string for fewer than two steps.
std::string loss_chart(const std::vector<std::pair<std::int64_t, double>>& losses,
                       std::optional<double> min_over_rows, int columns = 64, int rows = 12);

}  // namespace inkling
