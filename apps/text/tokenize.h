// Prepares a text file for training: writes a training shard, a validation shard, and the tokenizer.
//
// The text is bytes, normally UTF-8. A byte-order mark at its beginning is left out. UTF-16 is refused. Lines
// that contain only <|endoftext|> separate documents; a file without such a line is one document. An
// end-of-text token is written before each document. The last part of the tokens, 10% by default, is the
// validation shard. The model never trains on the validation shard, so the loss on this shard shows whether
// the model learns or only memorises.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/text/tokenizer.h"

namespace inkling {

struct TokenizeSettings {
  std::string input;           // the path of a text file; "-" is standard input
  std::string out;             // the files are <out>_train.bin, <out>_val.bin, <out>_tokenizer.bin
  std::string tokenizer_path;  // the path of a tokenizer file; if empty, the byte tokenizer is used
  double val_fraction = 0.1;
  // The minimum number of tokens of the validation shard, but never more than half of the text. For small
  // texts it is more than val_fraction. It allows at least one batch of the default size, B=8 and T=256.
  std::int64_t min_val_tokens = 2049;
};

struct TokenizeResult {
  std::string train_path, val_path, tokenizer_path;
  std::int64_t documents = 0, text_bytes = 0, train_tokens = 0, val_tokens = 0;
  std::int64_t inline_separators = 0;  // how often <|endoftext|> is inside a line, where it is ordinary text
};

// Tokenizes a text file. Error if the text cannot be encoded or is too short for two shards.
TokenizeResult tokenize_file(const TokenizeSettings& settings);

// Returns the documents of a text, without empty documents. A separator line belongs to no document.
std::vector<std::string_view> split_documents(std::string_view text);

}  // namespace inkling
