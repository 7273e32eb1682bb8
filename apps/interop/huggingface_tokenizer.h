// The files of a byte-level BPE tokenizer as Hugging Face's transformers reads them.
//
// vocab.json gives the id of each token and merges.txt gives the pairs in the order of training, both in
// GPT-2's byte alphabet (apps/text/byte_alphabet.h). tokenizer_config.json and special_tokens_map.json say
// that end-of-text is the special token.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/interop/vocabulary.h"

namespace inkling {

inline constexpr const char* kHuggingfaceTokenizerFiles[] = {
    "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"};

// Returns the name and the text of each file.
std::vector<std::pair<std::string, std::string>> huggingface_tokenizer(const Vocabulary& vocabulary,
                                                                       std::int64_t max_seq_len);

}  // namespace inkling
