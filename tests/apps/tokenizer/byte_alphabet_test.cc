// GPT-2's byte alphabet: known characters, every byte converted and converted back, and texts outside the
// alphabet.
#include "apps/tokenizer/byte_alphabet.h"

#include <set>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("byte alphabet: the characters are the characters in GPT-2's encoder.json") {
  CHECK(to_byte_alphabet("Hello world!~") == "Hello\u0120world!~");
  CHECK(to_byte_alphabet("\n\t\r") == "\u010a\u0109\u010d");
  CHECK(to_byte_alphabet(std::string("\0", 1)) == "\u0100");
  CHECK(to_byte_alphabet("\x7f\x80\xa0\xad") == "\u0121\u0122\u0142\u0143");
  CHECK(to_byte_alphabet("\xa1\xac\xae\xff") == "\u00a1\u00ac\u00ae\u00ff");
  CHECK(to_byte_alphabet("\xc3\xa9") == "\u00c3\u00a9");  // the two bytes of e with an acute accent
  CHECK(to_byte_alphabet("").empty());
}

TEST_CASE("byte alphabet: each byte has its own character, which is converted back to this byte") {
  std::set<std::string> characters;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    characters.insert(to_byte_alphabet(one));
    all += one;
  }
  CHECK(characters.size() == 256);
  CHECK(from_byte_alphabet(to_byte_alphabet(all)) == all);
}

TEST_CASE("byte alphabet: a text with other characters, or that is not UTF-8, stands for no bytes") {
  for (const std::string& text :
       {std::string(" "), std::string("\n"), std::string("\x7f"), std::string("a b"), std::string("\u00a0"),
        std::string("\u00ad"), std::string("\u0144"), std::string("\u2581"), std::string("\xff"),
        std::string("\xc4"), std::string("\xc4z"), std::string("\xc1\xa1"), std::string("\x80")}) {
    INFO(text);
    CHECK(!from_byte_alphabet(text).has_value());
  }
}

}  // namespace
}  // namespace inkling
