// Writes and scores texts with a compiled grammar. Both classes go through the same choices: Writer chooses
// at random, and Reader finds each choice from the next token. grammar_compile.cc builds the compiled grammar
// from the notation.
#include "apps/text/grammar.h"

#include <bit>
#include <set>

#include "core/error.h"
#include "core/portable_math.h"

namespace inkling {

namespace {

// Returns -log(part / whole). Most choices have only one alternative and need no logarithm.
double surprise(std::int64_t part, std::int64_t whole) {
  return part == whole ? 0.0 : portable::log(static_cast<double>(whole) / static_cast<double>(part));
}

}  // namespace

class Grammar::Writer {
 public:
  Writer(const Grammar& grammar, Rng& rng, Story& out)
      : grammar_(grammar), rng_(rng), out_(out), rows_(grammar.all_rows_) {
    emit(grammar_.tokenizer_.end_of_text());
    write_choice(grammar_.start_);
  }

 private:
  void write_choice(std::int32_t index) {
    const Choice& choice = grammar_.choices_[static_cast<std::size_t>(index)];
    auto left = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(choice.total_weight)));
    const Alternative* taken = choice.alternatives.data();
    for (; left >= taken->weight; ++taken) left -= taken->weight;
    // The nats of this choice are added to the next token that is written, even if another rule writes that
    // token.
    nats_ += surprise(taken->weight, choice.total_weight);
    for (const Item& item : taken->items) {
      switch (item.kind) {
        case Item::Kind::token:
          emit(item.index);
          break;
        case Item::Kind::mention:
          write_mention(grammar_.mentions_[static_cast<std::size_t>(item.index)]);
          break;
        case Item::Kind::choice:
          write_choice(item.index);
          break;
      }
    }
  }

  // Chooses a row of the list at random and writes the row's value in the column. The text then says only
  // this value, so other rows with the same value remain possible.
  void write_mention(const Mention& mention) {
    std::uint64_t& rows = rows_[static_cast<std::size_t>(mention.list)];
    const std::uint64_t picked = pick(rows);
    for (const auto* branches = &mention.values; !branches->empty();) {
      const Branch* branch = branches->data();
      while ((branch->rows & picked) == 0) ++branch;
      nats_ += surprise(std::popcount(rows & branch->rows), std::popcount(rows));
      rows &= branch->rows;
      emit(branch->token);
      branches = &branch->next;
    }
  }

  std::uint64_t pick(std::uint64_t rows) {
    if (std::has_single_bit(rows)) return rows;
    for (auto skip = rng_.below(static_cast<std::uint64_t>(std::popcount(rows))); skip > 0; --skip)
      rows &= rows - 1;
    return rows & (~rows + 1);
  }

  void emit(std::int32_t token) {
    out_.tokens.push_back(token);
    out_.nats.push_back(static_cast<float>(nats_));
    nats_ = 0;
  }

  const Grammar& grammar_;
  Rng& rng_;
  Story& out_;
  std::vector<std::uint64_t> rows_;  // the rows of each list that are still possible
  double nats_ = 0;                  // the nats of the choices since the last token
};

class Grammar::Reader {
 public:
  Reader(const Grammar& grammar, std::span<const std::int32_t> tokens, std::span<float> nats)
      : grammar_(grammar), tokens_(tokens), nats_out_(nats) {}

  void read_stories() {
    while (at_ < tokens_.size()) {
      rows_ = grammar_.all_rows_;
      read_token(grammar_.tokenizer_.end_of_text());
      read_choice(grammar_.start_);
    }
  }

 private:
  void read_choice(std::int32_t index) {
    const Choice& choice = grammar_.choices_[static_cast<std::size_t>(index)];
    const std::int32_t token = next();
    if (token < 0 || token >= grammar_.tokenizer_.vocab_size()) refuse();
    const int taken = choice.by_next_token[static_cast<std::size_t>(token)];
    if (taken < 0) refuse();
    const Alternative& alternative = choice.alternatives[static_cast<std::size_t>(taken)];
    nats_ += surprise(alternative.weight, choice.total_weight);
    for (const Item& item : alternative.items) {
      switch (item.kind) {
        case Item::Kind::token:
          read_token(item.index);
          break;
        case Item::Kind::mention:
          read_mention(grammar_.mentions_[static_cast<std::size_t>(item.index)]);
          break;
        case Item::Kind::choice:
          read_choice(item.index);
          break;
      }
    }
  }

  void read_mention(const Mention& mention) {
    std::uint64_t& rows = rows_[static_cast<std::size_t>(mention.list)];
    for (const auto* branches = &mention.values; !branches->empty();) {
      const Branch* said = nullptr;
      for (const Branch& branch : *branches) {
        if (branch.token == next() && (branch.rows & rows) != 0) said = &branch;
      }
      if (said == nullptr) refuse();
      nats_ += surprise(std::popcount(rows & said->rows), std::popcount(rows));
      rows &= said->rows;
      read_token(said->token);
      branches = &said->next;
    }
  }

  void read_token(std::int32_t expected) {
    if (next() != expected) refuse();
    nats_out_[at_++] = static_cast<float>(nats_);
    nats_ = 0;
  }

  // Returns the next token. After the last token comes the end-of-text of the next story, if there is one.
  std::int32_t next() const {
    return at_ < tokens_.size() ? tokens_[at_] : grammar_.tokenizer_.end_of_text();
  }

  [[noreturn]] void refuse() const {
    const Tokenizer& tokenizer = grammar_.tokenizer_;
    const auto shown = [&](std::int32_t id) {
      return id >= 0 && id < tokenizer.vocab_size() ? str("\"", tokenizer.token(id), "\"") : str("id ", id);
    };
    if (at_ == 0) fail("story: token 0 is ", shown(next()), ", expected ", shown(tokenizer.end_of_text()));
    if (at_ == tokens_.size())
      fail("story: ends too early, after token ", at_ - 1, ", ", shown(tokens_[at_ - 1]),
           ", expected the rest of the story");
    fail("story: token ", at_, " is ", shown(next()), ", which the grammar cannot write here, after ",
         shown(tokens_[at_ - 1]));
  }

  const Grammar& grammar_;
  std::span<const std::int32_t> tokens_;
  std::span<float> nats_out_;
  std::size_t at_ = 0;
  std::vector<std::uint64_t> rows_;
  double nats_ = 0;
};

void Grammar::write(Rng& rng, Story& out) const {
  Writer(*this, rng, out);
}

void Grammar::score(std::span<const std::int32_t> tokens, std::span<float> nats) const {
  if (tokens.size() != nats.size())
    fail("story: the buffer has room for ", nats.size(), " nats, expected ", tokens.size());
  Reader(*this, tokens, nats).read_stories();
}

std::vector<std::int32_t> Grammar::similar_tokens(std::int32_t token) const {
  std::set<std::int32_t> similar;
  for (const Mention& mention : mentions_) {
    std::set<std::int32_t> values;
    for (const Branch& branch : mention.values) {
      if (branch.next.empty()) values.insert(branch.token);
    }
    if (values.contains(token)) similar.merge(values);
  }
  similar.erase(token);
  return {similar.begin(), similar.end()};
}

}  // namespace inkling
