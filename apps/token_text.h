// Tokens and columns of text, as the subcommands print them.
#pragma once

#include <string>
#include <string_view>

#include "apps/run/terminal.h"

namespace inkling {

// Returns a token in quotes. It stays on one line, and has no control characters and no incomplete characters,
// also in a file or a pipe.
std::string quoted_token(const Terminal& screen, std::string_view token);

// The number of characters of UTF-8 text.
std::size_t width_of(std::string_view text);

// Return the text with spaces on its right or on its left, so that it has at least so many characters.
std::string padded_right(const std::string& text, std::size_t columns);
std::string padded_left(const std::string& text, std::size_t columns);

}  // namespace inkling
