// The markup of a page's texts: `code`, *important words*, $formulas$ with _{sub} and ^{sup}scripts, and
// {name}, which shows a number of the page. After a backslash, the next character is plain text.
//
// Text that comes from data (tokens, prompts, file names) is not markup: use verbatim(), or a place that
// takes plain text, such as a cell of a table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkling::page {

struct Span {
  enum class Kind { text, code, strong, math, number };
  Kind kind;
  std::string text;  // for a number: its name
};

// Error if a `, *, $ or { is not closed.
std::vector<Span> parse_markup(std::string_view text);

// Markup that shows the text as it is.
std::string verbatim(std::string_view text);

// A formula in parts: plain, subscript or superscript.
struct MathPart {
  enum class Kind { plain, sub, sup };
  Kind kind;
  std::string text;
};
std::vector<MathPart> parse_math(std::string_view formula);

}  // namespace inkling::page
