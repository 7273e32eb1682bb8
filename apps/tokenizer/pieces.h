// Pieces: cuts text into words, numbers, punctuation and spaces, as GPT-2 does before byte pair encoding.
//
// Byte pair encoding (bpe.h) joins bytes to tokens only within a piece, so no token has parts of two words.
// GPT-2 (Radford et al., 2019) defines the pieces by a regular expression. At each position, the first
// alternative that matches is taken:
//   's|'t|'re|'ve|'m|'ll|'d      the end of a contraction, such as the 's of "it's"
//    ?\p{L}+                     letters, with one space before them if there is one
//    ?\p{N}+                     digits and other numbers
//    ?[^\s\p{L}\p{N}]+           everything else that is not white space
//   \s+(?!\S)                    white space, but its last character stays for the next piece
//   \s+                          a single character of white space
// The classes follow Unicode 17.0 (unicode_ranges.h), so that the pieces do not depend on the version of a
// library. A byte that is not part of valid UTF-8 is a character of the class "everything else".
//
// Example: "It's 10  am" has the pieces "It", "'s", " 10", " ", " am". Read next: bpe.h.
#pragma once

#include <cstddef>
#include <string_view>

namespace inkling {

enum class CharClass : unsigned char { letter, number, white_space, other };

// Returns the class of a code point.
CharClass char_class(char32_t code_point);

// Returns the number of bytes of the first piece of a text. The text must not be empty.
std::size_t piece_length(std::string_view text);

// Returns the last position in (0, at] at which the text can be cut without a change to any piece: a position
// after an ASCII letter and before ASCII white space, where a piece always ends. Returns 0 if there is none.
// So long texts can be encoded in parts.
std::size_t cut_before(std::string_view text, std::size_t at);

// Returns the position of the first byte that is not part of valid UTF-8, or npos.
std::size_t first_invalid_utf8(std::string_view text);

// Returns the position of the first byte of the character at `at`, for cuts where cut_before() finds no
// place.
std::size_t character_start(std::string_view text, std::size_t at);

}  // namespace inkling
