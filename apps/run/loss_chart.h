// The loss curve as text: the training loss of a run, drawn in dots, with the theoretical minimum over rows
// as a dashed line, which the line below the chart explains.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/run/terminal.h"

namespace inkling {

// Draws the losses, which are pairs (step, loss), in `rows` rows of at most `columns` dots. If there are more
// steps than columns, a column shows the mean loss of its steps. Returns an empty string for fewer than two
// steps. No line is wider than the terminal if it has 20 columns or more. If the terminal cannot show UTF-8,
// the chart is ASCII.
std::string loss_chart(const std::vector<std::pair<std::int64_t, double>>& losses,
                       std::optional<double> min_over_rows, const Terminal& terminal, int columns = 64,
                       int rows = 12);

}  // namespace inkling
