// The files of a byte-level BPE tokenizer as Hugging Face's transformers reads them.
//
// vocab.json and merges.txt are the files of apps/tokenizer/merges_files.h. tokenizer_config.json and
// special_tokens_map.json say that end-of-text is the special token.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/tokenizer/tokenizer.h"

namespace inkling {

inline constexpr const char* kHuggingfaceTokenizerFiles[] = {
    "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"};

// Returns the name and the text of each file. Error for a word tokenizer.
std::vector<std::pair<std::string, std::string>> huggingface_tokenizer(const Tokenizer& tokenizer,
                                                                       std::int64_t max_seq_len);

}  // namespace inkling
