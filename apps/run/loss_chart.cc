#include "apps/run/loss_chart.h"

#include <algorithm>
#include <cmath>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

std::string loss_chart(const std::vector<std::pair<std::int64_t, double>>& losses,
                       std::optional<double> min_over_rows, int columns, int rows) {
  const auto points = std::ssize(losses);
  if (points < 2) return "";
  const auto width = std::min<std::ptrdiff_t>(columns, points);
  std::vector<double> means;
  for (std::ptrdiff_t c = 0; c < width; ++c) {
    double sum = 0;
    const auto begin = c * points / width, end = (c + 1) * points / width;
    for (auto i = begin; i < end; ++i) sum += losses[static_cast<std::size_t>(i)].second;
    means.push_back(sum / static_cast<double>(end - begin));
  }
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  const double bottom = min_over_rows ? std::min(*least, *min_over_rows) : *least, top = *most;
  const double height = top > bottom ? (top - bottom) / (rows - 1) : 1.0;
  const auto row_of = [&](double value) { return static_cast<int>(std::lround((value - bottom) / height)); };

  std::string chart;
  for (int row = rows - 1; row >= 0; --row) {
    const std::string label = format_fixed(bottom + row * height, 2);
    chart += std::string(static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, 8 - std::ssize(label))), ' ') +
             label + " ┤";
    const bool minimum_here = min_over_rows && row_of(*min_over_rows) == row;
    for (std::size_t c = 0; c < means.size(); ++c) {
      chart += row_of(means[c]) == row ? "●" : minimum_here ? "╌" : " ";
    }
    chart += minimum_here ? " minimum over rows\n" : "\n";
  }
  const std::string first = str("step ", losses.front().first), last = str(losses.back().first);
  const auto gap = std::max<std::ptrdiff_t>(1, width - std::ssize(first) - std::ssize(last));
  return chart + "          " + first + std::string(static_cast<std::size_t>(gap), ' ') + last + "\n";
}

}  // namespace inkling
