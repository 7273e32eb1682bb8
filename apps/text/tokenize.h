// A text file made ready for training: two token shards, train and validation, and the tokenizer that made
// them.
//
// Documents are separated by lines that say <|endoftext|>; a file without such a line is one document. Each
// is written with an end-of-text token before it. The last part of the tokens, 10% unless told otherwise, is
// kept aside for validation: text that the model never trains on, so that its loss there tells learning from
// memorising.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/text/tokenizer.h"

namespace inkling {

struct TokenizeSettings {
  std::string input;           // a text file
  std::string out;             // writes <out>_train.bin, <out>_val.bin, <out>_tokenizer.bin
  std::string tokenizer_path;  // a tokenizer file; empty: the byte-level tokenizer
  double val_fraction = 0.1;
  // Small texts give validation more than its fraction, up to half of everything, so that one batch of the
  // default size, B=8 and T=256, fits.
  std::int64_t min_val_tokens = 2049;
};

struct TokenizeResult {
  std::string train_path, val_path, tokenizer_path;
  std::int64_t documents = 0, text_bytes = 0, train_tokens = 0, val_tokens = 0;
};

// Error when the text cannot be encoded or is too short for two parts.
TokenizeResult tokenize_file(const TokenizeSettings& settings);

// The documents of a text, empty ones left out. A separator's own line belongs to none of them.
std::vector<std::string_view> split_documents(std::string_view text);

}  // namespace inkling
