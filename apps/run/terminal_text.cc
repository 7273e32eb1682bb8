#include "apps/run/terminal_text.h"

#include <algorithm>

namespace inkling {

namespace {

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// The bytes at the start of a text, as UTF-8 (Unicode 15, table 3-7).
struct Character {
  std::size_t bytes;  // the size of the character; 1 if it is not UTF-8
  enum { whole, incomplete, wrong } state;
};

// `text` has at least one byte.
Character first_character(std::string_view text) {
  const unsigned char first = byte_at(text, 0);
  if (first < 0x80) return {1, Character::whole};
  if (first < 0xc2 || first > 0xf4) return {1, Character::wrong};
  const std::size_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // The second byte has a smaller range after some first bytes. This excludes characters that are longer than
  // necessary, surrogates, and numbers above U+10FFFF.
  unsigned char least = 0x80, most = 0xbf;
  if (first == 0xe0) least = 0xa0;
  if (first == 0xed) most = 0x9f;
  if (first == 0xf0) least = 0x90;
  if (first == 0xf4) most = 0x8f;
  for (std::size_t i = 1; i < bytes; ++i, least = 0x80, most = 0xbf) {
    if (i == text.size()) return {i, Character::incomplete};
    if (byte_at(text, i) < least || byte_at(text, i) > most) return {1, Character::wrong};
  }
  return {bytes, Character::whole};
}

// Returns whether a terminal acts on this whole character instead of showing it: C0 except line break and tab,
// DEL, and C1 (U+0080 to U+009F).
bool is_control(std::string_view character) {
  const unsigned char first = byte_at(character, 0);
  if (character.size() == 2) return first == 0xc2 && byte_at(character, 1) < 0xa0;
  return first == 0x7f || (first < 0x20 && first != '\n' && first != '\t');
}

// Returns the number of bytes before the incomplete character at the end of a text, if there is one.
std::size_t bytes_of_whole_characters(std::string_view text) {
  constexpr std::size_t kLongest = 4;
  for (std::size_t tail = std::min(kLongest - 1, text.size()); tail > 0; --tail) {
    const std::string_view end = text.substr(text.size() - tail);
    if (first_character(end).state == Character::incomplete) return text.size() - tail;
  }
  return text.size();
}

std::string escaped(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text += "\\x";
    text += kDigits[byte_at(bytes, i) >> 4];
    text += kDigits[byte_at(bytes, i) & 15];
  }
  return text;
}

}  // namespace

std::string TerminalText::shown(std::string_view bytes) const {
  if (terminal_.columns == 0) return std::string(bytes);  // a file or a pipe
  std::string text;
  while (!bytes.empty()) {
    const Character next = first_character(bytes);
    const std::string_view character = bytes.substr(0, next.bytes);
    const bool can_show =
        next.state == Character::whole && !is_control(character) && (terminal_.utf8 || character.size() == 1);
    text += can_show ? std::string(character) : escaped(character);
    bytes.remove_prefix(next.bytes);
  }
  return text;
}

std::string TerminalText::push(std::string_view bytes) {
  held_ += bytes;
  const std::size_t whole = bytes_of_whole_characters(held_);
  const std::string text = shown(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return text;
}

std::string TerminalText::finish() {
  const std::string text = shown(held_);
  held_.clear();
  return text;
}

std::string terminal_text(const Terminal& terminal, std::string_view text) {
  TerminalText whole(terminal);
  const std::string most = whole.push(text);
  return most + whole.finish();
}

}  // namespace inkling
