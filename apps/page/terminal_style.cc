#include "apps/page/terminal_style.h"

#include <algorithm>
#include <array>

#include "apps/run/terminal_text.h"
#include "core/error.h"

namespace inkling::page {

namespace {

constexpr int kUsualColumns = 96;  // of a file or a pipe
constexpr int kMostColumns = 100;

bool starts_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// Symbols that the texts of pages have, and their ASCII.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kAscii = {{{"\u2212", "-"},
                                                                                   {"\u2192", "->"},
                                                                                   {"\u2190", "<-"},
                                                                                   {"\u00b7", "*"},
                                                                                   {"\u00d7", "x"},
                                                                                   {"\u2202", "d"},
                                                                                   {"\u03a3", "sum"},
                                                                                   {"\u2248", "~"},
                                                                                   {"\u2264", "<="},
                                                                                   {"\u2265", ">="},
                                                                                   {"\u221e", "inf"},
                                                                                   {"\u2026", "..."},
                                                                                   {"\u03b2", "beta"},
                                                                                   {"\u221a", "sqrt"}}};

std::string in_ascii(std::string text) {
  for (const auto& [symbol, ascii] : kAscii) {
    for (std::size_t at = text.find(symbol); at != std::string::npos;
         at = text.find(symbol, at + ascii.size()))
      text.replace(at, symbol.size(), ascii);
  }
  return text;
}

}  // namespace

TextStyle::TextStyle(const Terminal& shown_on)
    : terminal(shown_on),
      columns(shown_on.columns == 0 ? kUsualColumns : std::clamp(shown_on.columns - 1, 20, kMostColumns)) {}

std::string TextStyle::coloured(std::string_view text, const char* code) const {
  return terminal.redraws ? str("\33[", code, "m", text, "\33[0m") : std::string(text);
}

std::string TextStyle::look(std::string_view text, Look look) const {
  constexpr const char* kCodes[] = {"34", "33", "36", "35", "31", "2", "31"};
  return coloured(text, kCodes[static_cast<std::size_t>(look)]);
}

int text_width(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string cut(std::string_view text, int columns) {
  if (text_width(text) <= columns) return std::string(text);
  std::string first;
  int width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_character(text[i]) && ++width >= columns) break;
    first += text[i];
  }
  return columns > 0 ? first + "~" : "";
}

std::string pad_right(std::string_view text, int columns) {
  return std::string(text) +
         std::string(static_cast<std::size_t>(std::max(0, columns - text_width(text))), ' ');
}

std::string pad_left(std::string_view text, int columns) {
  return std::string(static_cast<std::size_t>(std::max(0, columns - text_width(text))), ' ') +
         std::string(text);
}

std::string wrapped(std::string_view text, int columns, std::string_view indent) {
  std::string lines;
  int width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = std::min(text.find(' ', i), text.size());
    const std::string_view word = text.substr(i, end - i);
    if (width > 0 && width + 1 + text_width(word) > columns) {
      lines += "\n" + std::string(indent);
      width = text_width(indent);
    } else if (i > 0) {
      lines += ' ';
      ++width;
    }
    lines += word;
    width += text_width(word);
    i = end + 1;
  }
  return lines + "\n";
}

std::string shown(const TextStyle& style, std::string_view text) {
  const std::string plain = style.terminal.utf8 ? std::string(text) : in_ascii(std::string(text));
  const Terminal careful{
      .columns = std::max(style.terminal.columns, 1), .redraws = false, .utf8 = style.terminal.utf8};
  return terminal_text(careful, plain);
}

}  // namespace inkling::page
