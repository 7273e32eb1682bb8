// Charts in characters. Each function returns whole lines.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "apps/page/terminal_style.h"
#include "core/portable_math.h"

namespace inkling::page {

namespace {

constexpr int kRows = 14;  // of a line chart
constexpr int kAxis = 11;  // the columns of the y axis with its numbers

std::string axis_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// One axis: it maps a value to one of `cells` cells.
struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool log;

  explicit Axis(bool is_log) : log(is_log) {}
  double position(double value) const { return log ? portable::log(value) : value; }
  double value(double position) const { return log ? portable::exp(position) : position; }
  bool usable(double value) const { return std::isfinite(value) && (!log || value > 0); }
  void include(double v) {
    if (!usable(v)) return;
    low = std::min(low, position(v));
    high = std::max(high, position(v));
  }
  int cell(double v, int cells) const {
    const double share = high > low ? (position(v) - low) / (high - low) : 0.5;
    return static_cast<int>(std::lround(share * (cells - 1)));
  }
};

const char* symbol(std::size_t series, bool utf8) {
  constexpr const char* kUtf8[] = {"●", "○", "▲", "□", "◆", "×"};
  constexpr const char* kAscii[] = {"*", "o", "^", "#", "+", "x"};
  return utf8 ? kUtf8[series % 6] : kAscii[series % 6];
}

// The cells of a chart. Each cell has a character and a look.
class Grid {
 public:
  Grid(int rows, int columns)
      : columns_(columns), cells_(static_cast<std::size_t>(rows * columns), {" ", Look::main}) {}
  void set(int row, int column, std::string text, Look look) {
    cells_[static_cast<std::size_t>(row * columns_ + column)] = {std::move(text), look};
  }
  std::string line(int row, const TextStyle& style) const {
    std::string text;
    for (int c = 0; c < columns_; ++c) {
      const auto& [cell, look] = cells_[static_cast<std::size_t>(row * columns_ + c)];
      text += cell == " " ? cell : style.look(cell, look);
    }
    return text;
  }

 private:
  int columns_;
  std::vector<std::pair<std::string, Look>> cells_;
};

void draw_series(Grid& grid, const Series& series, std::size_t index, const Axis& x, const Axis& y, int width,
                 bool utf8) {
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!x.usable(series.x[i]) || !y.usable(series.y[i])) continue;
    const int column = x.cell(series.x[i], width), row = y.cell(series.y[i], kRows);
    if (column < 0 || column >= width || row < 0 || row >= kRows) continue;
    grid.set(kRows - 1 - row, column, symbol(index, utf8), series.look);
  }
}

}  // namespace

std::string line_chart_text(const LineChart& chart, const TextStyle& style) {
  Axis x(chart.log_x), y(chart.log_y);
  for (const Series& series : chart.series) {
    for (const double v : series.x) x.include(v);
    for (const double v : series.y) y.include(v);
  }
  for (const Mark& mark : chart.marks) (mark.axis == 'x' ? x : y).include(mark.at);
  if (chart.y_min && y.usable(*chart.y_min)) y.low = y.position(*chart.y_min);
  if (chart.y_max && y.usable(*chart.y_max)) y.high = y.position(*chart.y_max);
  if (!(x.low <= x.high) || !(y.low <= y.high)) return "";
  const bool utf8 = style.terminal.utf8;
  const int width = std::max(8, std::min(72, style.columns - kAxis));
  Grid grid(kRows, width);
  for (const Mark& mark : chart.marks) {
    if (mark.axis != 'y' || !y.usable(mark.at)) continue;
    const int row = kRows - 1 - std::clamp(y.cell(mark.at, kRows), 0, kRows - 1);
    for (int c = 0; c < width; ++c) grid.set(row, c, utf8 ? "╌" : "-", mark.look);
  }
  for (std::size_t s = 0; s < chart.series.size(); ++s)
    draw_series(grid, chart.series[s], s, x, y, width, utf8);
  std::string text = "  " + shown(style, chart.y_label) + "\n";
  for (int row = 0; row < kRows; ++row) {
    const double at = y.low + (y.high - y.low) * (kRows - 1 - row) / (kRows - 1);
    const std::string label = row % 3 == 0 || row == kRows - 1 ? axis_number(y.value(at)) : "";
    text += pad_left(label, kAxis - 2) + (utf8 ? " │" : " |") + grid.line(row, style) + "\n";
  }
  const std::string first = axis_number(x.value(x.low));
  const std::string last = axis_number(x.value(x.high)) + "  " + shown(style, chart.x_label);
  text += std::string(kAxis, ' ') + first +
          pad_left(last, std::max(width - text_width(first), text_width(last) + 1)) + "\n";
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    if (!chart.series[s].name.empty())
      text += "  " + style.look(symbol(s, utf8), chart.series[s].look) + " " +
              shown(style, chart.series[s].name) + "\n";
  }
  for (const Mark& mark : chart.marks) {
    if (mark.axis == 'y')
      text += "  " + style.look(utf8 ? "╌" : "-", mark.look) + " " + shown(style, mark.label) + " " +
              axis_number(mark.at) + "\n";
  }
  return text;
}

std::string bar_chart_text(const std::vector<BarText>& bars, double max, const TextStyle& style) {
  int labels = 0, values = 0;
  for (const BarText& bar : bars) {
    labels = std::max(labels, std::min(text_width(bar.label), 28));
    values = std::max(values, text_width(bar.value_text));
    if (std::isfinite(bar.value)) max = std::max(max, std::abs(bar.value));
  }
  const int width = std::max(4, std::min(48, style.columns - labels - values - 6));
  std::string text;
  for (const BarText& bar : bars) {
    const double share = std::isfinite(bar.value) && max > 0 ? std::abs(bar.value) / max : 0;
    std::string filled;
    for (int i = 0; i < static_cast<int>(std::lround(share * width)); ++i)
      filled += style.terminal.utf8 ? "█" : "#";
    text += "  " + pad_left(cut(bar.label, 28), labels) + "  " + style.look(filled, bar.look) +
            (filled.empty() ? "" : " ") + bar.value_text + "\n";
  }
  return text;
}

std::string heat_text(const Heat& heat, const TextStyle& style) {
  int labels = 0, cells = 4;
  for (const std::string& row : heat.rows) labels = std::max(labels, std::min(text_width(row), 20));
  const auto value_text = [&](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", heat.digits, value);
    return std::isnan(value) ? std::string(".") : std::string(text);
  };
  for (const double value : heat.values) cells = std::max(cells, text_width(value_text(value)));
  for (const std::string& column : heat.columns) cells = std::max(cells, std::min(text_width(column), 9));
  const std::size_t columns = heat.columns.size();
  const auto fit = static_cast<std::size_t>(std::max(1, (style.columns - labels - 2) / (cells + 1)));
  std::string text;
  for (std::size_t first = 0; first < columns; first += fit) {  // in several parts, if it is too wide
    const std::size_t end = std::min(columns, first + fit);
    text += "  " + pad_right("", labels);
    for (std::size_t c = first; c < end; ++c)
      text += " " + pad_left(cut(shown(style, heat.columns[c]), cells), cells);
    text += "\n";
    for (std::size_t r = 0; r < heat.rows.size(); ++r) {
      text += "  " + pad_left(cut(shown(style, heat.rows[r]), 20), labels);
      for (std::size_t c = first; c < end; ++c) {
        const double value = heat.values[r * columns + c];
        text += " " + style.look(pad_left(value_text(value), cells), value < 0 ? Look::wrong : Look::main);
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace inkling::page
