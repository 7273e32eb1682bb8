#include "apps/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

void tokenizer(Bytes bytes) {
  accepted([&] {
    const Tokenizer tokenizer = Tokenizer::parse(ByteReader(bytes, "tokenizer.bin"));
    const std::size_t count = std::min<std::size_t>(bytes.size(), 300);
    const Bytes last = bytes.last(count);
    std::vector<std::int32_t> ids;
    for (std::byte byte : last) ids.push_back(static_cast<std::int32_t>(byte) - 3);
    accepted([&] { tokenizer.decode(ids); });
    accepted([&] {
      const std::vector<std::int32_t> encoded = tokenizer.encode(as_text(last));
      require(tokenizer.decode(encoded) == as_text(last), "tokenizer: decode(encode(text)) is the text");
      for (std::int32_t id : encoded)
        require(id != tokenizer.end_of_text(), "tokenizer: encode() never returns the end-of-text id");
    });
    tokenizer.write(scratch("tokenizer.bin"));
    const Tokenizer again = Tokenizer::read(scratch("tokenizer.bin"));
    require(again.vocab_size() == tokenizer.vocab_size() && again.kind() == tokenizer.kind() &&
                again.end_of_text() == tokenizer.end_of_text(),
            "tokenizer: read(write(x)) is x");
  });
}

}  // namespace inkling::fuzz
