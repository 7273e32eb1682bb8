#include "apps/lessons/the_task/gpt2_words.h"

#include "apps/tokenizer/tokenizer.h"

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
                                      {2603, " mat"}};

Tokenizer tokenizer_of_words() {
  std::vector<std::string> tokens;
  for (const Gpt2Word& word : kWords) tokens.push_back(word.bytes);
  return Tokenizer(tokens, 0, "the table of GPT-2's words");
}

}  // namespace

std::vector<Gpt2Word> gpt2_words(std::string_view text) {
  static const Tokenizer tokenizer = tokenizer_of_words();
  std::vector<Gpt2Word> words;
  for (const std::int32_t index : tokenizer.encode(text))
    words.push_back(kWords[static_cast<std::size_t>(index)]);
  return words;
}

}  // namespace inkling
