// Compiles a parsed grammar (grammar_notation.h) into the data that Writer and Reader use: words become
// tokens, and names become indices. GrammarCompiler rejects a grammar unless the next token alone always
// determines the alternative.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "apps/text/grammar.h"
#include "apps/text/grammar_notation.h"
#include "core/error.h"

namespace inkling {

class GrammarCompiler {
 public:
  GrammarCompiler(Grammar& grammar, const notation::Text& text) : grammar_(grammar), text_(text) {}

  void compile() {
    add_lists();
    for (const notation::Rule& rule : text_.rules) {
      if (!rules_.emplace(rule.name, &rule).second)
        fail("grammar: rule ", rule.name, ": is defined twice, expected once");
    }
    grammar_.start_ = compile_rule("story", true);
    for (const notation::Rule& rule : text_.rules) {
      if (!compiled_rules_.contains({rule.name, false}) && !compiled_rules_.contains({rule.name, true})) {
        fail("grammar: rule ", rule.name, ": is never used, expected a use in another rule");
      }
    }
    end_of_text_ = static_cast<std::int32_t>(vocabulary_.size());
    find_followers();
    for (std::size_t i = 0; i < choices().size(); ++i) predict(i);
    vocabulary_.emplace_back(kEndOfTextBytes);
    grammar_.tokenizer_ = Tokenizer(vocabulary_, end_of_text_, "story tokenizer");
  }

 private:
  using Item = Grammar::Item;
  using Tokens = std::set<std::int32_t>;
  struct ColumnPlace {
    std::int32_t list;
    std::size_t column;
  };

  std::vector<Grammar::Choice>& choices() { return grammar_.choices_; }

  void add_lists() {
    for (const notation::List& list : text_.lists) {
      const auto index = static_cast<std::int32_t>(grammar_.all_rows_.size());
      const std::size_t rows = list.rows.size();
      if (rows > Grammar::kMostRows) {
        fail("grammar: list ", list.name, ": has ", rows, " rows, expected at most ", Grammar::kMostRows);
      }
      grammar_.all_rows_.push_back(~std::uint64_t{0} >> (64 - rows));
      for (std::size_t column = 0; column < list.columns.size(); ++column) {
        if (!columns_.emplace(list.columns[column], ColumnPlace{index, column}).second) {
          fail("grammar: list ", list.name, ": column {", list.columns[column],
               "} exists already, expected a new name");
        }
      }
    }
  }

  std::int32_t token(const std::string& word) {
    const auto [entry, is_new] = token_ids_.emplace(word, static_cast<std::int32_t>(vocabulary_.size()));
    if (is_new) vocabulary_.push_back(word);
    return entry->second;
  }

  // `glued` means that the first word of the rule has no space before it: at the start of a story or after an
  // opening quote. The same word is then a different token, so a rule or mention that occurs in both cases is
  // compiled twice.
  std::int32_t compile_rule(const std::string& name, bool glued) {
    const auto known = compiled_rules_.find({name, glued});
    if (known != compiled_rules_.end()) {
      if (known->second == kUnfinished)
        fail("grammar: rule ", name, ": contains itself, so its texts would never end");
      return known->second;
    }
    const auto rule = rules_.find(name);
    if (rule == rules_.end())
      fail("grammar: rule ", name, ": is not defined, expected a rule with this name");
    compiled_rules_[{name, glued}] = kUnfinished;
    rule_ = rule->first;
    const std::int32_t index = compile_choice(rule->second->alternatives, glued);
    compiled_rules_[{name, glued}] = index;
    return index;
  }

  std::int32_t compile_choice(const std::vector<notation::Alternative>& alternatives, bool glued) {
    Grammar::Choice choice;
    const std::string_view rule = rule_;
    bool nullable = false;
    for (const notation::Alternative& alternative : alternatives) {
      Grammar::Alternative& compiled = choice.alternatives.emplace_back();
      compiled.weight = alternative.weight;
      compiled.items = compile_parts(alternative.parts, glued);
      choice.total_weight += compiled.weight;
      nullable = nullable || is_nullable(compiled.items);
      rule_ = rule;  // compile_parts() may have changed rule_
    }
    if (nullable && glued)
      fail("grammar: rule ", rule_,
           ": can be empty, but it begins a story or follows an opening quote, expected at least one word");
    choices().push_back(std::move(choice));
    nullable_.push_back(nullable);
    rule_of_.push_back(rule);
    return static_cast<std::int32_t>(choices().size()) - 1;
  }

  std::vector<Item> compile_parts(const std::vector<notation::Part>& parts, bool glued) {
    using Kind = notation::Part::Kind;
    std::vector<Item> items;
    for (const notation::Part& part : parts) {
      const std::string space = glued ? "" : " ";
      switch (part.kind) {
        case Kind::word:
        case Kind::open_quote:
          items.push_back({Item::Kind::token, token(space + part.text)});
          break;
        case Kind::mark:
          items.push_back({Item::Kind::token, token(part.text)});
          break;
        case Kind::mention:
          items.push_back({Item::Kind::mention, compile_mention(part.text, glued)});
          break;
        case Kind::rule:
          items.push_back({Item::Kind::choice, compile_rule(part.text, glued)});
          break;
        case Kind::group:
          items.push_back({Item::Kind::choice, compile_choice(part.alternatives, glued)});
          break;
      }
      glued = part.kind == Kind::open_quote;
    }
    return items;
  }

  std::int32_t compile_mention(const std::string& name, bool glued) {
    const auto [known, is_new] =
        compiled_mentions_.emplace(std::pair(name, glued), grammar_.mentions_.size());
    if (!is_new) return static_cast<std::int32_t>(known->second);
    const auto place = columns_.find(name);
    if (place == columns_.end())
      fail("grammar: rule ", rule_, ": no list has a column {", name, "}, expected one");
    Grammar::Mention mention;
    mention.list = place->second.list;
    const notation::List& list = text_.lists[static_cast<std::size_t>(mention.list)];
    for (std::size_t row = 0; row < list.rows.size(); ++row) {
      add_value(mention.values, list.rows[row][place->second.column], glued, std::uint64_t{1} << row, name);
    }
    grammar_.mentions_.push_back(std::move(mention));
    return static_cast<std::int32_t>(known->second);
  }

  void add_value(std::vector<Grammar::Branch>& values, const std::string& value, bool glued,
                 std::uint64_t row, const std::string& column) {
    std::vector<Grammar::Branch>* branches = &values;
    for (std::size_t begin = 0; begin < value.size();) {
      const std::size_t end = std::min(value.find(' ', begin), value.size());
      const std::int32_t id = token((begin == 0 && glued ? "" : " ") + value.substr(begin, end - begin));
      auto branch =
          std::find_if(branches->begin(), branches->end(), [&](const auto& b) { return b.token == id; });
      if (branch == branches->end()) {
        branch = branches->insert(branches->end(), {id, 0, {}});
      } else if (branch->next.empty() != (end == value.size())) {
        fail("grammar: column {", column, "}: one value is the beginning of another (\"", value, "\")");
      }
      branch->rows |= row;
      branches = &branch->next;
      begin = end + 1;
    }
  }

  bool is_nullable(std::span<const Item> items) const {
    return std::all_of(items.begin(), items.end(), [&](const Item& item) {
      return item.kind == Item::Kind::choice && nullable_[static_cast<std::size_t>(item.index)];
    });
  }

  // Adds FIRST of a sequence of items: the tokens that the sequence may start with.
  void add_first(std::span<const Item> items, Tokens& out) const {
    for (const Item& item : items) {
      const auto index = static_cast<std::size_t>(item.index);
      if (item.kind == Item::Kind::token) out.insert(item.index);
      if (item.kind == Item::Kind::mention) {
        for (const Grammar::Branch& branch : grammar_.mentions_[index].values) out.insert(branch.token);
      }
      if (item.kind == Item::Kind::choice) {
        for (const Grammar::Alternative& a : grammar_.choices_[index].alternatives) add_first(a.items, out);
      }
      if (item.kind != Item::Kind::choice || !nullable_[index]) return;
    }
  }

  // Finds FOLLOW of each choice: the tokens that may come after the choice, wherever it is used. Repeats
  // until no set grows any more.
  void find_followers() {
    follow_.assign(choices().size(), {});
    follow_[static_cast<std::size_t>(grammar_.start_)].insert(end_of_text_);
    for (bool grew = true; grew;) {
      grew = false;
      for (std::size_t c = 0; c < choices().size(); ++c) {
        for (const Grammar::Alternative& alternative : choices()[c].alternatives) {
          const std::span<const Item> items(alternative.items);
          for (std::size_t i = 0; i < items.size(); ++i) {
            if (items[i].kind != Item::Kind::choice) continue;
            Tokens& follow = follow_[static_cast<std::size_t>(items[i].index)];
            const std::size_t before = follow.size();
            add_first(items.subspan(i + 1), follow);
            if (is_nullable(items.subspan(i + 1))) follow.insert(follow_[c].begin(), follow_[c].end());
            grew = grew || follow.size() != before;
          }
        }
      }
    }
  }

  // Finds which alternative of choice c each next token reveals. If a token reveals two alternatives, the
  // grammar is rejected.
  void predict(std::size_t c) {
    Grammar::Choice& choice = choices()[c];
    choice.by_next_token.assign(vocabulary_.size() + 1, -1);
    for (std::size_t a = 0; a < choice.alternatives.size(); ++a) {
      Tokens revealing;
      add_first(choice.alternatives[a].items, revealing);
      if (is_nullable(choice.alternatives[a].items)) {
        if (follow_[c].contains(end_of_text_)) {
          fail("grammar: rule ", rule_of_[c],
               ": after an empty alternative it is not clear whether the text has ended, expected a token");
        }
        revealing.insert(follow_[c].begin(), follow_[c].end());
      }
      for (std::int32_t token : revealing) {
        std::int16_t& entry = choice.by_next_token[static_cast<std::size_t>(token)];
        if (entry >= 0) {
          fail("grammar: rule ", rule_of_[c], ": ambiguous: \"", vocabulary_[static_cast<std::size_t>(token)],
               "\" can come next in alternatives ", entry + 1, " and ", a + 1, " of a choice");
        }
        entry = static_cast<std::int16_t>(a);
      }
    }
  }

  static constexpr std::int32_t kUnfinished = -1;

  Grammar& grammar_;
  const notation::Text& text_;
  std::map<std::string, const notation::Rule*, std::less<>> rules_;
  std::map<std::string, ColumnPlace> columns_;
  std::map<std::pair<std::string, bool>, std::int32_t> compiled_rules_;
  std::map<std::pair<std::string, bool>, std::size_t> compiled_mentions_;
  std::map<std::string, std::int32_t> token_ids_;
  std::vector<std::string> vocabulary_;
  std::vector<bool> nullable_;  // whether each choice may be empty
  std::vector<Tokens> follow_;
  std::vector<std::string_view> rule_of_;  // the rule of each choice, for error messages
  std::string_view rule_;                  // the rule that is being compiled
  std::int32_t end_of_text_ = 0;
};

Grammar::Grammar(std::string_view text) : tokenizer_(Tokenizer::bytes()) {
  const notation::Text tree = notation::parse(text);
  GrammarCompiler(*this, tree).compile();
}

}  // namespace inkling
