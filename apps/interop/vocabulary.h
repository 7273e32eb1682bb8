// Vocabulary: a byte-level BPE tokenizer in the form in which other programs store it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace inkling {

struct Vocabulary {
  std::vector<std::string> tokens;  // the bytes of each id
  std::vector<std::pair<std::string, std::string>>
      merges;  // the bytes of both parts, in the order of training
  std::int32_t end_of_text = 0;
};

// The tokens and the merges ("left right") as text files write them, in GPT-2's byte alphabet
// (apps/text/byte_alphabet.h). Error if two ids have the same bytes: these files cannot hold both.
std::vector<std::string> written_tokens(const Vocabulary& vocabulary);
std::vector<std::string> written_merges(const Vocabulary& vocabulary);

}  // namespace inkling
