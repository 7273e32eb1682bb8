#include "apps/token_text.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

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

std::string shown_token(const Terminal& screen, const Tokenizer& tokenizer, std::int32_t id) {
  return id == tokenizer.end_of_text() ? std::string(kEndOfTextBytes)
                                       : quoted_token(screen, tokenizer.token(id));
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

std::string shortened(const std::string& text, std::size_t columns) {
  constexpr std::string_view kDots = "...";
  if (width_of(text) <= columns) return text;
  std::size_t end = 0;
  for (std::size_t width = 0; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
    if (begins && ++width > columns - kDots.size()) break;
  }
  return text.substr(0, end) + std::string(kDots);
}

std::size_t fitting_columns(const Terminal& screen, std::size_t columns, std::size_t count,
                            std::size_t others) {
  if (screen.columns == 0) return columns;
  const auto width = static_cast<std::size_t>(screen.columns);
  const std::size_t room = width > others ? (width - others) / count : 0;
  return std::clamp(columns, kLeastTokenColumns, std::max(room, kLeastTokenColumns));
}

std::string wrapped(std::string_view text, const Terminal& screen, std::size_t indent) {
  const auto width = static_cast<std::size_t>(screen.columns);
  if (width <= indent + 1) return std::string(text);
  std::string lines;
  while (width_of(text) + (lines.empty() ? 0 : indent) > width) {
    const std::size_t room = width - (lines.empty() ? 0 : indent);
    // The last space before the room ends, or, after a longer word, the first one behind it.
    std::size_t end = 0;
    for (std::size_t at = text.find(' ', text.find_first_not_of(' ')); at != text.npos;
         at = text.find(' ', at + 1)) {
      if (end > 0 && width_of(text.substr(0, at)) > room) break;
      end = at;
    }
    if (end == 0) break;
    const std::size_t next = text.find_first_not_of(' ', end);
    const std::string_view line = text.substr(0, end);
    lines += std::string(line.substr(0, line.find_last_not_of(' ') + 1)) + "\n" + std::string(indent, ' ');
    text.remove_prefix(std::min(next, text.size()));
  }
  return lines + std::string(text);
}

void print_labelled(const std::string& label, const std::string& value) {
  constexpr std::size_t kLabel = 16;
  std::cout << wrapped(padded_right(label, kLabel) + value, terminal(STDOUT_FILENO), kLabel) << "\n";
}

}  // namespace inkling
