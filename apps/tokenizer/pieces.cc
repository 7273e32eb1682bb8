#include "apps/tokenizer/pieces.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "apps/tokenizer/unicode_ranges.h"

namespace inkling {

namespace {

std::vector<CharClass> make_classes() {
  std::vector<CharClass> classes;
  const auto set = [&](std::span<const std::uint16_t> ranges, CharClass value) {
    std::size_t end = 0;
    for (std::size_t i = 0; i < ranges.size(); i += 2) {
      const std::size_t begin = end + ranges[i];
      end = begin + ranges[i + 1];
      if (classes.size() < end) classes.resize(end, CharClass::other);
      for (std::size_t point = begin; point < end; ++point) classes[point] = value;
    }
  };
  set(kLetters, CharClass::letter);
  set(kNumbers, CharClass::number);
  set(kWhiteSpace, CharClass::white_space);
  return classes;
}

bool is_ascii_letter(unsigned char c) {
  return static_cast<unsigned char>((c | 0x20) - 'a') < 26;
}

bool is_ascii_white_space(unsigned char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

constexpr std::array<CharClass, 128> make_ascii_classes() {
  std::array<CharClass, 128> classes = {};
  for (std::size_t c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool white_space = c == ' ' || (c >= '\t' && c <= '\r');
    const bool number = c >= '0' && c <= '9';
    classes[c] = letter        ? CharClass::letter
                 : number      ? CharClass::number
                 : white_space ? CharClass::white_space
                               : CharClass::other;
  }
  return classes;
}

constexpr std::array<CharClass, 128> kAscii = make_ascii_classes();

struct Char {
  CharClass kind;
  std::size_t bytes;
};

// Decodes the character of several bytes at `p`. If the bytes are not valid UTF-8, the first byte is a
// character of its own. They are not valid if a continuation byte is wrong or missing, if fewer bytes can
// encode the code point, or if it is a surrogate or above 10FFFF.
Char wide_char_at(const char* p, const char* end) {
  constexpr Char kInvalid = {CharClass::other, 1};
  const auto lead = static_cast<unsigned char>(*p);
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || static_cast<std::size_t>(end - p) < bytes) return kInvalid;
  auto point = static_cast<char32_t>(lead & (0x7f >> bytes));
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(p[i]);
    if ((next & 0xc0) != 0x80) return kInvalid;
    point = point << 6 | (next & 0x3f);
  }
  const bool too_long = (bytes == 3 && point < 0x800) || (bytes == 4 && point < 0x10000);
  if (too_long || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return kInvalid;
  return {char_class(point), bytes};
}

Char char_at(const char* p, const char* end) {
  const auto byte = static_cast<unsigned char>(*p);
  return byte < 128 ? Char{kAscii[byte], 1} : wide_char_at(p, end);
}

// Returns a word with 0x80 in each of the eight bytes at `p` that is not an ASCII letter, and 0 in the
// others.
std::uint64_t not_letters(const char* p) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, p, sizeof bytes);
  // Without their top bits, the bytes plus a constant cannot carry into the next byte.
  const std::uint64_t lower = (bytes | kOnes * 0x20) & kOnes * 0x7f;
  const std::uint64_t at_least_a = lower + kOnes * (0x80 - 'a'), above_z = lower + kOnes * (0x80 - 'z' - 1);
  return (~at_least_a | above_z | bytes) & kOnes * 0x80;
}

// Returns the end of the characters of one class that start at `p`.
const char* skip(const char* p, const char* end, CharClass kind) {
  if (kind == CharClass::letter && std::endian::native == std::endian::little) {
    while (end - p >= 8) {
      const std::uint64_t stops = not_letters(p);
      if (stops == 0) {
        p += 8;
        continue;
      }
      p += std::countr_zero(stops) / 8;
      break;
    }
  }
  while (p < end) {
    const Char c = char_at(p, end);
    if (c.kind != kind) break;
    p += c.bytes;
  }
  return p;
}

// Returns the length of a piece of 1 to 7 ASCII letters, with or without a space before them. Returns 0 for
// any other piece. Most pieces of English text are such words, and this finds their end without a loop.
std::size_t short_word_length(std::string_view text) {
  constexpr std::size_t kRead = 1 + sizeof(std::uint64_t);
  if (text.size() < kRead || std::endian::native != std::endian::little) return 0;
  const std::size_t blank = text[0] == ' ';
  const std::uint64_t stops = not_letters(text.data() + blank);
  if (stops == 0) return 0;
  const auto letters = static_cast<std::size_t>(std::countr_zero(stops)) / 8;
  const bool ascii_stop = static_cast<unsigned char>(text[blank + letters]) < 128;
  return letters > 0 && ascii_stop ? blank + letters : 0;
}

// Returns the length of the contraction's end at `p`, which is an apostrophe, or 0.
std::size_t contraction_length(const char* p, const char* end) {
  const std::string_view rest(p + 1, static_cast<std::size_t>(end - p - 1));
  if (rest.empty()) return 0;
  if (std::string_view("stmd").find(rest[0]) != std::string_view::npos) return 2;
  return rest.starts_with("re") || rest.starts_with("ve") || rest.starts_with("ll") ? 3 : 0;
}

}  // namespace

CharClass char_class(char32_t code_point) {
  static const std::vector<CharClass> classes = make_classes();
  return code_point < classes.size() ? classes[code_point] : CharClass::other;
}

std::size_t piece_length(std::string_view text) {
  const char *begin = text.data(), *end = begin + text.size();
  if (const std::size_t length = short_word_length(text); length > 0) return length;
  if (*begin == '\'') {
    if (const std::size_t length = contraction_length(begin, end); length > 0) return length;
  }
  const char* p = begin + (*begin == ' ' && text.size() > 1);
  const Char first = char_at(p, end);
  if (first.kind != CharClass::white_space) {
    return static_cast<std::size_t>(skip(p + first.bytes, end, first.kind) - begin);
  }
  const char* last = p = begin;  // the last character of the white space
  while (p < end) {
    const Char c = char_at(p, end);
    if (c.kind != CharClass::white_space) break;
    last = p;
    p += c.bytes;
  }
  return static_cast<std::size_t>((p == end || last == begin ? p : last) - begin);
}

std::size_t cut_before(std::string_view text, std::size_t at) {
  for (; at > 0 && at < text.size(); --at) {
    if (is_ascii_letter(static_cast<unsigned char>(text[at - 1])) &&
        is_ascii_white_space(static_cast<unsigned char>(text[at]))) {
      return at;
    }
  }
  return 0;
}

std::size_t first_invalid_utf8(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    if (static_cast<unsigned char>(*p) < 128) {
      ++p;
      continue;
    }
    const std::size_t bytes = wide_char_at(p, end).bytes;
    if (bytes == 1) return static_cast<std::size_t>(p - text.data());
    p += bytes;
  }
  return std::string_view::npos;
}

std::size_t character_start(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

}  // namespace inkling
