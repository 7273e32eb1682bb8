#include "apps/tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

namespace inkling {

namespace {

constexpr unsigned kBytes = 256;
constexpr unsigned kMoved = 68;  // bytes that have no printable character of their own

constexpr bool is_printable(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Alphabet {
  std::array<std::uint16_t, kBytes> code_point{};    // of each byte
  std::array<std::int16_t, kBytes + kMoved> byte{};  // of each code point; -1: not in the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  unsigned moved = 0;
  for (unsigned byte = 0; byte < kBytes; ++byte) {
    const unsigned point = is_printable(byte) ? byte : kBytes + moved++;
    alphabet.code_point[byte] = static_cast<std::uint16_t>(point);
    alphabet.byte[point] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();
static_assert(kAlphabet.code_point[0xad] == kBytes + kMoved - 1, "0xAD is the last byte that is moved");

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const unsigned point = kAlphabet.code_point[static_cast<unsigned char>(c)];
    if (point < 0x80) {
      text += static_cast<char>(point);
    } else {
      text += static_cast<char>(0xc0 | (point >> 6));
      text += static_cast<char>(0x80 | (point & 0x3f));
    }
  }
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned point = static_cast<unsigned char>(text[i]);
    if (point >= 0x80) {  // every other character of the alphabet has two bytes in UTF-8
      const bool has_two = point >= 0xc2 && point <= 0xdf && i + 1 < text.size();
      const unsigned second = has_two ? static_cast<unsigned char>(text[++i]) : 0;
      if ((second & 0xc0) != 0x80) return std::nullopt;
      point = (point & 0x1f) << 6 | (second & 0x3f);
    }
    if (point >= kAlphabet.byte.size() || kAlphabet.byte[point] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte[point]);
  }
  return bytes;
}

}  // namespace inkling
