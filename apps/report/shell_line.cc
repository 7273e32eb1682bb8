#include "apps/report/shell_line.h"

namespace inkling::report {

namespace {

std::string quoted(const std::string& word) {
  constexpr const char* kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:=+,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + quoted(word);
  return line;
}

std::string shell_lines(const std::vector<std::string>& words) {
  constexpr std::size_t kWidth = 64;
  std::string lines;
  std::size_t width = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string word = quoted(words[i]);
    const bool fits =
        width + word.size() < kWidth || !words[i].starts_with("--");  // a value stays with its flag
    if (i > 0) lines += fits ? " " : " \\\n  ";
    width = (fits ? width : 2) + word.size() + 1;
    lines += word;
  }
  return lines;
}

}  // namespace inkling::report
