// Text of a page in the columns of a terminal: width, wrapping, colours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/page/blocks.h"
#include "apps/run/terminal.h"

namespace inkling::page {

// How a page is printed: the width of its lines, and whether it may use colours and UTF-8.
struct TextStyle {
  explicit TextStyle(const Terminal& terminal);

  std::string coloured(std::string_view text,
                       const char* code) const;  // `code` is an ANSI code, for example "1" for bold
  std::string look(std::string_view text, Look look) const;

  Terminal terminal;
  int columns;  // of a line: at most 100
};

// The number of columns of UTF-8 text without colours.
int text_width(std::string_view text);

// The first `columns` columns of a text. A cut text ends with "~".
std::string cut(std::string_view text, int columns);

std::string pad_right(std::string_view text, int columns);  // fills up with spaces on the right
std::string pad_left(std::string_view text, int columns);

// Breaks text at its spaces into lines of at most `columns` columns. Following lines start with `indent`.
std::string wrapped(std::string_view text, int columns, std::string_view indent = "");

// Text of a page as the terminal can show it: without UTF-8, the mathematical symbols of the pages (a minus
// sign, an arrow) become ASCII, and other bytes outside of ASCII become escapes.
std::string shown(const TextStyle& style, std::string_view text);

// A chart of lines, bars or cells, in lines of text.
std::string line_chart_text(const LineChart& chart, const TextStyle& style);
struct BarText {
  std::string label, value_text;
  double value;
  Look look;
};
std::string bar_chart_text(const std::vector<BarText>& bars, double max, const TextStyle& style);
std::string heat_text(const Heat& heat, const TextStyle& style);

}  // namespace inkling::page
