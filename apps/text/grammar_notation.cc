#include "apps/text/grammar_notation.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "core/error.h"

namespace inkling::notation {

namespace {

constexpr std::int64_t kMostWeight = 1000;

bool is_word_character(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '\'' || c == '-';
}

bool is_mark(char c) {
  return std::string_view(".,!?;:").find(c) != std::string_view::npos;
}

// Parses the right side of one rule of a grammar, by recursive descent.
class RuleParser {
 public:
  RuleParser(std::string_view text, const std::string& rule) : text_(text), rule_(rule) {}

  std::vector<Alternative> parse_rule() {
    std::vector<Alternative> alternatives = parse_alternatives();
    if (at_ != text_.size()) complain("there is a closing ) without an opening (, expected one for each");
    return alternatives;
  }

 private:
  std::vector<Alternative> parse_alternatives() {
    std::vector<Alternative> alternatives(1);
    alternatives.back().weight = parse_weight();
    while (skip_space(), at_ < text_.size() && text_[at_] != ')') {
      if (text_[at_] == '|') {
        ++at_;
        alternatives.emplace_back();
        alternatives.back().weight = parse_weight();
      } else {
        alternatives.back().parts.push_back(parse_part());
      }
    }
    return alternatives;
  }

  std::int64_t parse_weight() {
    skip_space();
    std::int64_t weight = 0;
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) &&
           weight < kMostWeight) {
      weight = 10 * weight + (text_[at_++] - '0');
    }
    if (at_ == begin) return 1;
    if (weight < 1 || weight > kMostWeight) complain(str("a weight is outside 1 .. ", kMostWeight));
    return weight;
  }

  Part parse_part() {
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      Part group{Part::Kind::group, {}, parse_alternatives()};
      if (at_ == text_.size()) complain("there is an opening ( without a closing )");
      ++at_;
      return group;
    }
    if (c == '{') return {Part::Kind::mention, parse_name('}'), {}};
    if (c == '<') return {Part::Kind::rule, parse_name('>'), {}};
    if (c == '"') return parse_quote();
    if (is_mark(c)) return parse_mark();
    if (!is_word_character(c)) complain(str("the character ", c, " has no meaning here"));
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word_character(text_[at_])) ++at_;
    return {Part::Kind::word, std::string(text_.substr(begin, at_ - begin)), {}};
  }

  // Parses a punctuation mark. A mark and a closing quote after it are one token: ," or !"
  Part parse_mark() {
    const std::size_t length = text_.substr(at_ + 1).starts_with('"') ? 2 : 1;
    at_ += length;
    return {Part::Kind::mark, std::string(text_.substr(at_ - length, length)), {}};
  }

  // Parses a quote. It is an opening quote after a space, ( or |, and at the start of the rule. Otherwise it
  // is a closing quote.
  Part parse_quote() {
    const char before = at_ == 0 ? ' ' : text_[at_ - 1];
    ++at_;
    const bool opens = std::isspace(static_cast<unsigned char>(before)) || before == '(' || before == '|';
    return {opens ? Part::Kind::open_quote : Part::Kind::mark, "\"", {}};
  }

  std::string parse_name(char closing) {
    const std::size_t begin = at_ + 1;
    const std::size_t end = text_.find(closing, begin);
    if (end == std::string_view::npos) complain(str("there is a name without a closing ", closing));
    at_ = end + 1;
    return std::string(text_.substr(begin, end - begin));
  }

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  [[noreturn]] void complain(const std::string& what) const { fail("grammar: rule ", rule_, ": ", what); }

  std::string_view text_;
  const std::string& rule_;
  std::size_t at_ = 0;
};

void add_row(const std::string& text, List& list) {
  std::istringstream cells(text);
  std::vector<std::string> row;
  for (std::string cell; cells >> cell;) row.push_back(cell);
  if (row.empty()) fail("grammar: list ", list.name, ": a row has no cells, expected at least one");
  if (list.columns.empty()) list.columns = row;
  if (row.size() != list.columns.size()) {
    fail("grammar: list ", list.name, ": the row of ", row.front(), " has ", row.size(), " cells, expected ",
         list.columns.size());
  }
  for (std::string& cell : row) std::replace(cell.begin(), cell.end(), '_', ' ');
  list.rows.push_back(std::move(row));
}

List parse_list(std::istringstream& lines, const std::string& name) {
  List list;
  list.name = name;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream rows(line);
    for (std::string row; std::getline(rows, row, '/');) add_row(row, list);
  }
  if (list.rows.empty()) fail("grammar: list ", name, ": has no rows, expected at least one");
  return list;
}

void parse_paragraph(const std::string& paragraph, Text& out) {
  std::istringstream lines(paragraph);
  std::string name, sign;
  lines >> name >> sign;
  if (name == "list") {
    std::string rest;
    std::getline(lines, rest);
    out.lists.push_back(parse_list(lines, sign));
    return;
  }
  if (sign != "=")
    fail("grammar: a paragraph begins with ", name, " ", sign, ", expected `list NAME` or `NAME =`");
  const std::string_view right_side = std::string_view(paragraph).substr(paragraph.find('=') + 1);
  out.rules.push_back({name, RuleParser(right_side, name).parse_rule()});
}

}  // namespace

Text parse(std::string_view text) {
  Text out;
  std::istringstream lines{std::string(text)};
  std::string paragraph;
  const auto end_paragraph = [&] {
    if (!paragraph.empty()) parse_paragraph(paragraph, out);
    paragraph.clear();
  };
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos) {
      end_paragraph();
    } else if (line[first] != '#') {
      paragraph += line + '\n';
    }
  }
  end_paragraph();
  return out;
}

}  // namespace inkling::notation
