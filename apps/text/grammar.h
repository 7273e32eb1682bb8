// A probabilistic grammar that writes texts and knows how likely each of their tokens was.
//
// Why: the best possible loss of a language model is the entropy of its text, and for real text nobody knows
// it. For a text written by rolling dice it can be counted: -log p(token | text so far), summed. That is the
// floor under the loss curve.
//
// The notation. Blank lines separate lists from rules; lines that begin with # are remarks.
//
//   list hero
//     Tom   boy   He  he
//     Lily  girl  She she
// is a list of what the text may be about, one row each; rows may share a line, divided by /. The first row
// is a row like the others, and its cells also name the columns: {Tom} is the hero's name, whoever the hero
// is, and {he} is "she" if it is Lily. An underscore in a cell stands for a space.
//
//   opening =
//     3 Once there was a {boy} (named | called) {Tom}.
//   | There lived a (very |) happy {boy}, <someone>.
// is a rule: its alternatives, divided by |. A number in front of one is its weight, 1 if there is none.
// Brackets are a choice in place, of which one may be empty; <someone> stands for the rule of that name. All
// begins with the rule `story`.
//
// One mechanism remembers: of each list, the rows that still agree with what was said. A mention of a column
// picks among these, each row as likely as the others, and leaves those that agree with it. So the first
// mention of {Tom} is a surprise of log(rows), and every later {Tom}, {boy} or {he} none at all; after {boy}
// alone, {Tom} may still be any boy. A model that wants to be as sure has to look back: this is what
// attention is for.
//
// Tokens are whole words. A word carries the space before it (" kite"), except at the very beginning and
// after an opening quote; punctuation marks are tokens of their own, a closing quote joined to its mark (,").
// End-of-text is the last id.
//
// Why the probabilities are exact. Compiling refuses a grammar unless the next token alone always tells which
// alternative was taken (it is LL(1), with the sets FIRST and FOLLOW of Aho & Ullman, 1972): the alternatives
// of a choice begin with different tokens, an empty one is told by what may follow, no value of a column
// begins with another whole value, and the end of a text is never in doubt. So each text has one derivation,
// p(token) is the product of the choices that it reveals, and the sum over a text is exactly -log P(text).
// write() multiplies while it writes; score() finds the same numbers from the tokens alone.
//
// Thread safety: immutable once made. Read next: stories_grammar.cc, the grammar of the stories.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "apps/text/tokenizer.h"
#include "core/rng.h"

namespace inkling {

// Tokens, and for each its surprise -log p(token | the story so far), in nats. The first token is
// end-of-text, which here announces a story; it is certain (0 nats), as after a story nothing else can come.
struct Story {
  std::vector<std::int32_t> tokens;
  std::vector<float> nats;
};

class Grammar {
 public:
  // Error naming the rule or list that is malformed, unknown, ambiguous or endless.
  explicit Grammar(std::string_view text);

  const Tokenizer& tokenizer() const { return tokenizer_; }

  // Appends one story to `out`.
  void write(Rng& rng, Story& out) const;

  // The nats of a text that begins with end-of-text and is one whole story or several. Error naming the first
  // token that the grammar could not have written there. `tokens` and `nats` are of the same length.
  void score(std::span<const std::int32_t> tokens, std::span<float> nats) const;

 private:
  friend class GrammarCompiler;
  class Writer;
  class Reader;

  static constexpr int kMostRows = 64;  // a set of rows is a bit mask

  // What a sequence is made of: one token, a mention of a column, or a choice.
  struct Item {
    enum class Kind : std::int32_t { token, mention, choice };
    Kind kind;
    std::int32_t index;  // the token, or an index into mentions_ or choices_
  };
  struct Alternative {
    std::int64_t weight = 1;
    std::vector<Item> items;
  };
  struct Choice {
    std::vector<Alternative> alternatives;
    std::int64_t total_weight = 0;
    std::vector<std::int16_t> by_next_token;  // token -> the alternative that it reveals, or -1
  };
  // The values of a column as a tree: at each node the tokens that may come next, each with the rows whose
  // value goes on so.
  struct Branch {
    std::int32_t token;
    std::uint64_t rows;
    std::vector<Branch> next;  // empty: the value ends here
  };
  struct Mention {
    std::int32_t list;
    std::vector<Branch> values;
  };

  std::vector<std::uint64_t> all_rows_;  // of each list
  std::vector<Mention> mentions_;
  std::vector<Choice> choices_;
  std::int32_t start_ = 0;  // the choice that is the rule `story`
  Tokenizer tokenizer_;
};

}  // namespace inkling
