#include "apps/interop/vocabulary.h"

#include <unordered_map>

#include "apps/text/byte_alphabet.h"
#include "core/error.h"

namespace inkling {

std::vector<std::string> written_tokens(const Vocabulary& vocabulary) {
  std::vector<std::string> written;
  written.reserve(vocabulary.tokens.size());
  std::unordered_map<std::string, std::size_t> ids;
  for (const std::string& token : vocabulary.tokens) {
    written.push_back(to_byte_alphabet(token));
    const auto [first, is_new] = ids.emplace(written.back(), written.size() - 1);
    if (!is_new)
      fail("the tokenizer has the token \"", first->first, "\" twice, with the ids ", first->second, " and ",
           written.size() - 1, ", expected each token once, because vocab.json and GGUF cannot hold both");
  }
  return written;
}

std::vector<std::string> written_merges(const Vocabulary& vocabulary) {
  std::vector<std::string> written;
  written.reserve(vocabulary.merges.size());
  for (const auto& [left, right] : vocabulary.merges)
    written.push_back(to_byte_alphabet(left) + " " + to_byte_alphabet(right));
  return written;
}

}  // namespace inkling
