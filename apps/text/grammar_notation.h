// Parses the notation of a grammar into a tree (grammar.h describes the notation). The parser does not know
// tokens or probabilities.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::notation {

struct Alternative;

// A part of an alternative in the notation of a grammar.
struct Part {
  enum class Kind {
    word,        // `text` is the word
    mark,        // `text` is a punctuation mark or a closing quote, written without a space before it
    open_quote,  // an opening quote: the next word is written without a space before it
    mention,     // `text` is the name of the column
    rule,        // `text` is the name of the rule
    group        // `alternatives` are the alternatives in parentheses
  };
  Kind kind;
  std::string text;
  std::vector<Alternative> alternatives;
};
struct Alternative {
  std::int64_t weight = 1;
  std::vector<Part> parts;
};

struct Rule {
  std::string name;
  std::vector<Alternative> alternatives;
};
// A list of the notation. Cells have spaces where the notation has underscores. The cells of the first row,
// with their underscores, are the names of the columns.
struct List {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct Text {
  std::vector<List> lists;
  std::vector<Rule> rules;
};

// Parses a grammar. Error if a rule or list is malformed; the Error names the rule or list.
Text parse(std::string_view text);

}  // namespace inkling::notation
