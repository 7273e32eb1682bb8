// The -log p of every token of a few stories, computed by a second algorithm. It follows all derivations that
// agree with the tokens so far, at the same time, through the parsed notation of the grammar, each with its
// probability. It does not use the compiled grammar (choices decided by the next token, trees of values, bit
// masks).
#include <cmath>
#include <map>

#include "apps/text/grammar_notation.h"
#include "apps/text/stories.h"
#include "apps/text/stories_grammar.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using notation::Alternative;
using notation::Part;

class Derivations {
 public:
  Derivations() : text_(notation::parse(kStoryGrammar)) {
    Derivation start;
    for (const notation::List& list : text_.lists) start.rows.push_back(list.rows);
    const Part story{Part::Kind::rule, "story", {}};
    follow(start, story);
  }

  // Returns p(token | the tokens before it). Then removes the derivations that do not write this token.
  double read(const std::string& token) {
    double all = 0, agreeing = 0;
    std::vector<Derivation> before;
    before.swap(waiting_);
    for (Derivation& d : before) {
      all += d.p;
      if (d.ahead.empty() || d.ahead.back().word != token) continue;
      agreeing += d.p;
      d.ahead.pop_back();
      advance(std::move(d));
    }
    return agreeing / all;
  }
  // Whether the text must end here.
  bool ended() const {
    for (const Derivation& d : waiting_) {
      if (!d.ahead.empty()) return false;
    }
    return !waiting_.empty();
  }

 private:
  using Rows = std::vector<std::vector<std::string>>;
  struct Ahead {
    const Part* part;  // nullptr for a word
    std::string word;
  };
  struct Derivation {
    double p = 1;
    std::vector<Ahead> ahead;  // the parts and words that follow, the next one last
    std::vector<Rows> rows;    // for each list, the rows that agree with the text so far
    bool no_space = true;      // no space before the next word
  };

  // Continues to the next word, along every path.
  void advance(Derivation d) {
    if (d.ahead.empty() || d.ahead.back().part == nullptr) {
      waiting_.push_back(std::move(d));
      return;
    }
    const Part& part = *d.ahead.back().part;
    d.ahead.pop_back();
    follow(std::move(d), part);
  }

  void follow(Derivation d, const Part& part) {
    switch (part.kind) {
      case Part::Kind::word:
        return say(std::move(d), {part.text});
      case Part::Kind::mark:
        d.no_space = false;
        d.ahead.push_back({nullptr, part.text});
        return advance(std::move(d));
      case Part::Kind::open_quote:
        d.ahead.push_back({nullptr, d.no_space ? "\"" : " \""});
        d.no_space = true;
        return advance(std::move(d));
      case Part::Kind::mention:
        return mention(d, part.text);
      case Part::Kind::rule:
        for (const notation::Rule& rule : text_.rules) {
          if (rule.name == part.text) return choose(d, rule.alternatives);
        }
        FAIL("no rule " << part.text);
        return;
      case Part::Kind::group:
        return choose(d, part.alternatives);
    }
  }

  void choose(const Derivation& d, const std::vector<Alternative>& alternatives) {
    double total = 0;
    for (const Alternative& a : alternatives) total += static_cast<double>(a.weight);
    for (const Alternative& a : alternatives) {
      Derivation next = d;
      next.p *= static_cast<double>(a.weight) / total;
      for (auto part = a.parts.rbegin(); part != a.parts.rend(); ++part) next.ahead.push_back({&*part, ""});
      advance(std::move(next));
    }
  }

  void mention(const Derivation& d, const std::string& column) {
    for (std::size_t l = 0; l < text_.lists.size(); ++l) {
      const std::vector<std::string>& columns = text_.lists[l].columns;
      const auto at = std::find(columns.begin(), columns.end(), column);
      if (at == columns.end()) continue;
      std::map<std::string, Rows> by_value;
      for (const auto& row : d.rows[l])
        by_value[row[static_cast<std::size_t>(at - columns.begin())]].push_back(row);
      for (const auto& [value, rows] : by_value) {
        Derivation next = d;
        next.p *= static_cast<double>(rows.size()) / static_cast<double>(d.rows[l].size());
        next.rows[l] = rows;
        std::vector<std::string> words;
        std::istringstream in(value);
        for (std::string word; in >> word;) words.push_back(word);
        say(std::move(next), words);
      }
      return;
    }
    FAIL("no column " << column);
  }

  void say(Derivation d, std::vector<std::string> words) {
    for (std::string& word : words) {
      if (!d.no_space) word.insert(0, " ");
      d.no_space = false;
    }
    for (auto word = words.rbegin(); word != words.rend(); ++word) d.ahead.push_back({nullptr, *word});
    advance(std::move(d));
  }

  notation::Text text_;
  std::vector<Derivation> waiting_;  // derivations whose next item is a word, or that have ended
};

TEST_CASE("stories: story_nats() is -log of each token's probability, computed from the grammar's notation") {
  constexpr double kFloatRounding = 1e-6;  // nats are stored as float
  const test::TemporaryDirectory directory;
  const Shard shard(write_story_corpus(directory.path(), 1, 1500, 3).val_path);
  const std::vector<float> floor = story_nats(shard);
  const std::int32_t end_of_text = story_tokenizer().end_of_text();
  int stories = 0;
  for (std::int64_t i = 0; i < shard.size();) {
    REQUIRE(shard[i] == end_of_text);
    CHECK(floor[static_cast<std::size_t>(i)] == 0);
    Derivations derivations;
    for (++i; i < shard.size() && shard[i] != end_of_text; ++i) {
      const double p = derivations.read(story_tokenizer().token(shard[i]));
      INFO("token " << i);
      REQUIRE(std::abs(floor[static_cast<std::size_t>(i)] + std::log(p)) < kFloatRounding);
    }
    CHECK(derivations.ended());
    ++stories;
  }
  CHECK(stories >= 15);
}

}  // namespace
}  // namespace inkling
