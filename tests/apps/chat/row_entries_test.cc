// Documents as entries of packed rows: where a long one is cut, and which of its tokens count.
#include "apps/chat/row_entries.h"

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The entries of a document that arrives in these parts, in rows of T = 4 tokens. "E" is end-of-text; a token
// that counts has a * behind it.
std::vector<std::string> entries_of(RowEntries& rows, const std::vector<std::string>& parts) {
  const Tokenizer tokenizer = Tokenizer::bytes();
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    rows.document(parts[i], i == 0, i + 1 == parts.size(), [&](const ChatTokens& entry) {
      std::string text;
      for (std::size_t t = 0; t < entry.ids.size(); ++t) {
        const bool ends = entry.ids[t] == tokenizer.end_of_text();
        text += (ends ? "E" : std::string(tokenizer.token(entry.ids[t]))) + (entry.counted[t] ? "*" : "");
      }
      entries.push_back(text);
    });
  }
  return entries;
}

using Entries = std::vector<std::string>;

TEST_CASE("row entries: all tokens of a short document count, but the end-of-text before it") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  RowEntries rows(tokenizer, 4);
  CHECK((entries_of(rows, {"ab"}) == Entries{"Ea*b*E*"}));
  CHECK((entries_of(rows, {"abc"}) == Entries{"Ea*b*c*E*"}));
  CHECK(rows.counts().documents == 2);
  CHECK(rows.counts().cut == 0);
}

TEST_CASE("row entries: at a cut, the end-of-text and the first token after it do not count") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  RowEntries rows(tokenizer, 4);
  CHECK((entries_of(rows, {"abcdefg"}) == Entries{"Ea*b*c*E", "Ede*f*E", "EgE*"}));
  CHECK(rows.counts().documents == 1);
  CHECK(rows.counts().cut == 1);
}

TEST_CASE(
    "row entries: a document that arrives in several parts is also cut between them, and counted once") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  RowEntries rows(tokenizer, 4);
  CHECK((entries_of(rows, {"abcd", "ef", "g"}) == Entries{"Ea*b*c*E", "EdE", "Eef*E", "EgE*"}));
  CHECK((entries_of(rows, {"ab", "c"}) == Entries{"Ea*b*E", "EcE*"}));
  CHECK(rows.counts().documents == 2);
  CHECK(rows.counts().cut == 2);
}

}  // namespace
}  // namespace inkling
