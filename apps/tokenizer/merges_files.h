// Tokenizers as GPT-2 and Hugging Face store them: a vocabulary in JSON and a text file of merges.
//
// encoder.json and vocab.bpe (GPT-2) or vocab.json and merges.txt (Hugging Face) lie together in a directory.
// The vocabulary gives the id of each token; the merges follow, one line "left right" each, in their order.
// Both write bytes in GPT-2's byte alphabet (byte_alphabet.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// Whether the directory has the two files of a tokenizer.
bool has_merges_files(const std::string& directory);

// Reads the tokenizer from the two files in a directory. Error if they are not there or contradict each
// other, or if their ids are not in the order of the merges: then a `*_tokenizer.bin` could not hold them.
Tokenizer read_merges_directory(const std::string& directory);

// Like read_merges_directory(), from the contents of the two files; their names are for error messages.
Tokenizer parse_merges(std::string_view vocabulary, const std::string& vocabulary_name,
                       std::string_view merges, const std::string& merges_name);

// The tokens in the order of their ids, and the merges ("left right") in their order, in GPT-2's byte
// alphabet. End-of-text is always <|endoftext|>. A byte tokenizer is a BPE tokenizer without merges. Error
// for a word tokenizer, and if two ids have the same bytes: then the files could not hold the tokenizer.
std::vector<std::string> written_tokens(const Tokenizer& tokenizer);
std::vector<std::string> written_merges(const Tokenizer& tokenizer);

// The contents of the two files.
std::string vocab_json_text(const Tokenizer& tokenizer);
std::string merges_text(const Tokenizer& tokenizer);

// Writes vocab.json and merges.txt, which Hugging Face's tokenizers reads, into a directory, and makes the
// directory if needed.
void write_merges_directory(const Tokenizer& tokenizer, const std::string& directory);

}  // namespace inkling
