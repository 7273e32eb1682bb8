#include <algorithm>

#include "apps/tokenizer/merges_files.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

// The bytes up to the first zero byte are vocab.json, the rest is merges.txt.
void merges(Bytes bytes) {
  const std::string_view both = as_text(bytes);
  const std::size_t end = std::min(both.find('\0'), both.size());
  const std::string_view vocabulary = both.substr(0, end), lines = both.substr(std::min(end + 1, both.size()));
  accepted([&] {
    const Tokenizer tokenizer = parse_merges(vocabulary, "vocab.json", lines, "merges.txt");
    const std::string_view text = lines.substr(0, 300);
    accepted([&] {
      require(tokenizer.decode(tokenizer.encode(text)) == text, "merges: decode(encode(text)) is the text");
    });
    const Tokenizer again =
        parse_merges(vocab_json_text(tokenizer), "vocab.json", merges_text(tokenizer), "merges.txt");
    require(again.vocab_size() == tokenizer.vocab_size() && again.end_of_text() == tokenizer.end_of_text(),
            "merges: read(write(x)) is x");
  });
}

}  // namespace inkling::fuzz
