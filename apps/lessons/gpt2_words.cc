#include "apps/lessons/gpt2_words.h"

namespace inkling {

namespace {

const std::vector<Gpt2Word> kWords = {{50256, "<|endoftext|>"},  // the tokenizer needs an end-of-text
                                      {464, "The"},
                                      {3139, " capital"},
                                      {27544, "capital"},
                                      {318, " is"},
                                      {6342, " Paris"},
                                      {286, " of"},
                                      {4881, " France"},
                                      {13, "."},
                                      {2061, "What"},
                                      {262, " the"},
                                      {30, "?"},
                                      {732, "we"},
                                      {1842, " love"},
                                      {2769, " deep"},
                                      {4673, " learning"},
                                      {1135, "We"},
                                      {389, " are"},
                                      {477, " all"},
                                      {5384, " humans"},
                                      {4642, " born"},
                                      {284, " to"},
                                      {787, " make"},
                                      {10135, " mistakes"},
                                      {3797, " cat"},
                                      {3332, " sat"},
                                      {319, " on"},
                                      {2603, " mat"},
                                      {198, "\n"},
                                      {12982, "User"},
                                      {48902, "Assistant"},
                                      {11964, "System"},
                                      {25, ":"},
                                      {220, " "},
                                      {338, "'s"}};

Tokenizer tokenizer_of_words() {
  std::vector<std::string> tokens;
  for (const Gpt2Word& word : kWords) tokens.push_back(word.bytes);
  return Tokenizer(tokens, 0, "the table of GPT-2's words");
}

}  // namespace

const Tokenizer& gpt2_words_tokenizer() {
  static const Tokenizer tokenizer = tokenizer_of_words();
  return tokenizer;
}

const Gpt2Word& gpt2_word(std::int32_t place) {
  return kWords[static_cast<std::size_t>(place)];
}

std::vector<Gpt2Word> gpt2_words(std::string_view text) {
  std::vector<Gpt2Word> words;
  for (const std::int32_t place : gpt2_words_tokenizer().encode(text)) words.push_back(gpt2_word(place));
  return words;
}

}  // namespace inkling
