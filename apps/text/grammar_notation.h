// The grammar's notation, read into a tree (see grammar.h for what it looks like). Knows nothing of tokens or
// probabilities.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::notation {

struct Alternative;

// A piece of an alternative.
struct Part {
  enum class Kind {
    word,        // text: the word
    mark,        // text: a punctuation mark or a closing quote, written without a space before it
    open_quote,  // what follows is written without a space before it
    mention,     // text: the column's name
    rule,        // text: the rule's name
    group        // alternatives in place
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
// Cells hold spaces where the notation has underscores. The first row's cells, as they are written, name the
// columns.
struct List {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct Text {
  std::vector<List> lists;
  std::vector<Rule> rules;
};

// Error naming the rule or list that is malformed.
Text parse(std::string_view text);

}  // namespace inkling::notation
