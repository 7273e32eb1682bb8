#include "apps/token_text.h"

#include <algorithm>

#include "apps/run/terminal_text.h"

namespace inkling {

namespace {

std::string spaces(std::string_view text, std::size_t columns) {
  const std::size_t width = width_of(text);
  return std::string(columns > width ? columns - width : 0, ' ');
}

}  // namespace

std::string quoted_token(const Terminal& screen, std::string_view token) {
  const Terminal careful{.columns = std::max(screen.columns, 1), .redraws = false, .utf8 = screen.utf8};
  std::string shown = "\"";
  for (const char c : terminal_text(careful, token))
    shown += c == '\n' ? "\\n" : c == '\t' ? "\\t" : std::string(1, c);
  return shown + "\"";
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded_right(const std::string& text, std::size_t columns) {
  return text + spaces(text, columns);
}
std::string padded_left(const std::string& text, std::size_t columns) {
  return spaces(text, columns) + text;
}

}  // namespace inkling
