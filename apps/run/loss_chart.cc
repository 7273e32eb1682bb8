#include "apps/run/loss_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr int kAxis = 10;  // columns of the losses and the axis, left of the dots

struct Symbols {
  const char *axis, *dot, *minimum;
};

// The mean loss of the steps in each of `width` columns.
std::vector<double> column_means(const std::vector<std::pair<std::int64_t, double>>& losses,
                                 std::ptrdiff_t width) {
  const auto points = std::ssize(losses);
  std::vector<double> means;
  for (std::ptrdiff_t c = 0; c < width; ++c) {
    double sum = 0;
    const auto begin = c * points / width, end = (c + 1) * points / width;
    for (auto i = begin; i < end; ++i) sum += losses[static_cast<std::size_t>(i)].second;
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return means;
}

// Eight characters.
std::string row_label(double loss) {
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%8.2f", loss);
  if (length > 8) std::snprintf(text, sizeof text, "%8.1e", loss);
  return text;
}

// A line below the dots. It is indented by the width of the axis, or by less if the line would be wider than
// the terminal. `characters` is the width of `text`.
std::string line_below(const std::string& text, std::int64_t characters, int terminal_columns) {
  const std::int64_t room = terminal_columns == 0 ? kAxis : terminal_columns - characters;
  return std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(room, 0, kAxis)), ' ') + text + "\n";
}

}  // namespace

std::string loss_chart(const std::vector<std::pair<std::int64_t, double>>& losses,
                       std::optional<double> min_over_rows, const Terminal& terminal, int columns, int rows) {
  if (losses.size() < 2) return "";
  if (terminal.columns > 0) columns = std::clamp(terminal.columns - kAxis, 1, columns);
  const auto width = std::min<std::ptrdiff_t>(columns, std::ssize(losses));
  const std::vector<double> means = column_means(losses, width);
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  const double bottom = min_over_rows ? std::min(*least, *min_over_rows) : *least, top = *most;
  const double height = top > bottom ? (top - bottom) / (rows - 1) : 1.0;
  const auto row_of = [&](double value) { return static_cast<int>(std::lround((value - bottom) / height)); };

  const Symbols symbols = terminal.utf8 ? Symbols{"┤", "●", "╌"} : Symbols{"|", "*", "-"};
  std::string chart;
  for (int row = rows - 1; row >= 0; --row) {
    chart += row_label(bottom + row * height) + " " + symbols.axis;
    const bool minimum_here = min_over_rows && row_of(*min_over_rows) == row;
    for (const double mean : means)
      chart += row_of(mean) == row ? symbols.dot : minimum_here ? symbols.minimum : " ";
    chart += "\n";
  }
  const std::string first = str("step ", losses.front().first), last = str(losses.back().first);
  const auto gap = std::max<std::ptrdiff_t>(1, width - std::ssize(first) - std::ssize(last));
  const std::string steps = first + std::string(static_cast<std::size_t>(gap), ' ') + last;
  chart += line_below(steps, std::ssize(steps), terminal.columns);
  if (!min_over_rows) return chart;
  const std::string words = " minimum over rows";
  return chart + line_below(symbols.minimum + words, 1 + std::ssize(words), terminal.columns);
}

}  // namespace inkling
