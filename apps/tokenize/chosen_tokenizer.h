// The tokenizer of `inkling tokenize`: an existing tokenizer, the byte tokenizer, or a new tokenizer that is
// trained on the text.
#pragma once

#include <cstdint>

#include "apps/tokenize/tokenize.h"
#include "apps/tokenizer/bpe_training.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

bool trains_tokenizer(const TokenizeSettings& settings);

struct ChosenTokenizer {
  Tokenizer tokenizer;
  bool no_pair_left = false;  // training ended with fewer tokens than wanted
  bool sampled_pieces = false;  // it was trained on a sample of the rare pieces
};
// `pieces` and `text_bytes` describe the text. They matter only if a tokenizer is trained on it.
ChosenTokenizer choose_tokenizer(const TokenizeSettings& settings, const PieceCounts& pieces,
                                 std::int64_t text_bytes);

// Writes the tokenizer's files, and stores the facts about the tokenizer in `result`.
void write_tokenizer(const TokenizeSettings& settings, const ChosenTokenizer& chosen, TokenizeResult& result);

// Returns a suitable size of the vocabulary for a text of `text_bytes` bytes: larger texts get more tokens.
std::int32_t suitable_vocabulary(std::int64_t text_bytes);

}  // namespace inkling
