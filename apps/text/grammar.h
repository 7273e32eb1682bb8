// A probabilistic grammar that writes texts and knows the probability of each token of its texts.
//
// Why: the lowest possible loss of a language model is the entropy of its text. For real text the entropy is
// unknown. For a text that a grammar wrote with random choices, it can be computed: the mean of -log p(token
// | text so far). The chart of the training loss shows this value as the theoretical minimum.
//
// The notation of a grammar: blank lines separate lists and rules; lines that start with # are comments.
//
//   list hero
//     Tom   boy   He  he
//     Lily  girl  She she
// The three lines above are a list of things that the text may be about. Each row is one thing; a / separates
// two rows on one line. The cells of the first row also name the columns: {Tom} is the hero's name, whoever
// the hero is, and {he} is "she" if the hero is Lily. An underscore in a cell means a space.
//
//   opening =
//     3 Once there was a {boy} (named | called) {Tom}.
//   | There lived a (very |) happy {boy}, <someone>.
// The three lines above are a rule: alternatives separated by |. A number before an alternative is its weight
// (1 if there is none). Parentheses contain a choice inside an alternative; one of its alternatives may be
// empty. <someone> means the rule with the name `someone`. Every text starts with the rule `story`.
//
// How a grammar remembers: for each list, it remembers the rows that agree with the text so far. A mention of
// a column chooses one of these rows, all equally likely, and then only the rows that agree with the mention
// remain. So the first mention of {Tom} costs log(rows) nats, and every later {Tom}, {boy} or {he} costs
// nothing; after {boy} alone, {Tom} may still be any boy. A model that wants to be equally certain must look
// back in the text, with attention.
//
// Tokens of a grammar are whole words. A word includes the space before it (" kite"), except at the start of
// the text and after an opening quote. Punctuation marks are separate tokens; a closing quote and the mark
// before it are one token (,"). End-of-text is the last id.
//
// Why the probabilities are exact: the compiler accepts a grammar only if the next token alone always
// determines the alternative. (The grammar is LL(1), with the sets FIRST and FOLLOW of Aho & Ullman, 1972.)
// This means: the alternatives of a choice start with different tokens; the token after an empty alternative
// shows that the alternative is empty; no value of a column starts with another complete value; and the end
// of a text is always clear. So each text has exactly one derivation, p(token) is the product of the
// probabilities of the choices that the token reveals, and the sum over a text is exactly -log P(text).
// write() computes the nats while it writes; score() computes the same numbers from the tokens alone.
//
// Thread safety: a Grammar is immutable after construction. Read next: stories_grammar.cc, the grammar of the
// stories.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "apps/tokenizer/tokenizer.h"
#include "core/rng.h"

namespace inkling {

// A story: its tokens, and for each token -log p(token | the story so far), in nats. The first token is
// end-of-text, which starts a story. It costs 0 nats, because after a story only end-of-text can follow.
struct Story {
  std::vector<std::int32_t> tokens;
  std::vector<float> nats;
};

class Grammar {
 public:
  // Compiles a grammar. Error if a rule or list is malformed, unknown, ambiguous or endless; the Error names
  // the rule or list.
  explicit Grammar(std::string_view text);

  const Tokenizer& tokenizer() const { return tokenizer_; }

  // Appends one story to `out`.
  void write(Rng& rng, Story& out) const;

  // Computes the nats of a text that consists of one or more complete stories and starts with end-of-text.
  // `tokens` and `nats` have the same length. Error at the first token that the grammar could not have
  // written; the Error names the token.
  void score(std::span<const std::int32_t> tokens, std::span<float> nats) const;

  // Returns the other tokens that are values of a column that has `token` as a value, in ascending order. For
  // the token " Tom", these are the names of the other heroes. Values of several tokens are left out.
  std::vector<std::int32_t> similar_tokens(std::int32_t token) const;

 private:
  friend class GrammarCompiler;
  class Writer;
  class Reader;

  static constexpr int kMostRows = 64;  // a set of rows is a bit mask of 64 bits

  // An element of an alternative: one token, a mention of a column, or a choice.
  struct Item {
    enum class Kind : std::int32_t { token, mention, choice };
    Kind kind;
    std::int32_t index;  // the token id, or an index into mentions_ or choices_
  };
  struct Alternative {
    std::int64_t weight = 1;
    std::vector<Item> items;
  };
  struct Choice {
    std::vector<Alternative> alternatives;
    std::int64_t total_weight = 0;
    std::vector<std::int16_t> by_next_token;  // the alternative that each next token reveals, or -1
  };
  // The values of a column as a tree. Each node has the tokens that may come next, and each of these tokens
  // has the rows whose value continues with it.
  struct Branch {
    std::int32_t token;
    std::uint64_t rows;
    std::vector<Branch> next;  // if empty, the column's value ends with `token`
  };
  struct Mention {
    std::int32_t list;
    std::vector<Branch> values;
  };

  std::vector<std::uint64_t> all_rows_;  // the bit mask of all rows of each list
  std::vector<Mention> mentions_;
  std::vector<Choice> choices_;
  std::int32_t start_ = 0;  // the choice of the rule `story`
  Tokenizer tokenizer_;
};

}  // namespace inkling
