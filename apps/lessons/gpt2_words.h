// The tokens of the documents' sentences in GPT-2's vocabulary of 50,257 tokens. So a lesson shows the real
// ids without the whole vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenizer/tokenizer.h"

namespace inkling {

struct Gpt2Word {
  std::int32_t id;
  std::string bytes;
};

// The tokens of a text, as GPT-2 encodes it. Error if the table does not have all of its tokens. The table
// has words with the space before them, so it is right for the sentences of the lessons, not for every text.
std::vector<Gpt2Word> gpt2_words(std::string_view text);

// The same table as a tokenizer, in which the id of a word is its place in the table. gpt2_word() returns the
// word at a place.
const Tokenizer& gpt2_words_tokenizer();
const Gpt2Word& gpt2_word(std::int32_t place);

}  // namespace inkling
