// Tokens and columns of text, as the subcommands print them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "apps/run/terminal.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// Returns a token in quotes. It stays on one line, and has no control characters and no incomplete
// characters, also in a file or a pipe.
std::string quoted_token(const Terminal& screen, std::string_view token);
// Returns the token with this id in quotes, or <|endoftext|> without quotes: the special token, which no text
// has.
std::string shown_token(const Terminal& screen, const Tokenizer& tokenizer, std::int32_t id);

// The number of characters of UTF-8 text.
std::size_t width_of(std::string_view text);

// Return the text with spaces on its right or on its left, so that it has at least so many characters.
std::string padded_right(const std::string& text, std::size_t columns);
std::string padded_left(const std::string& text, std::size_t columns);

// Returns the text, or its beginning and "..." if it has more than so many characters.
std::string shortened(const std::string& text, std::size_t columns);

// Columns that have tokens have at least this many characters, the width of the word "target".
inline constexpr std::size_t kLeastTokenColumns = 6;
// Returns the width of each of `count` columns that should have `columns` characters, in lines with `others`
// further characters: less on a terminal that is too narrow, but at least kLeastTokenColumns.
std::size_t fitting_columns(const Terminal& screen, std::size_t columns, std::size_t count,
                            std::size_t others);

// Returns the text in lines that a terminal has room for, broken at spaces. All lines but the first begin
// with `indent` spaces. The last line has no line end. In a file or a pipe, the text stays one line.
std::string wrapped(std::string_view text, const Terminal& screen, std::size_t indent);
// Prints a label and a value in two columns on stdout.
void print_labelled(const std::string& label, const std::string& value);

}  // namespace inkling
