// Pieces: GPT-2's regular expression, against a matcher that follows the expression alternative by
// alternative.
#include "apps/tokenizer/pieces.h"

#include <string>
#include <vector>

#include "core/rng.h"
#include "tests/catch.h"

namespace inkling {
namespace {

std::vector<std::string> pieces_of(std::string_view text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const std::size_t length = piece_length(text);
    pieces.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

using Pieces = std::vector<std::string>;

TEST_CASE("pieces: words, numbers, punctuation, contractions and white space") {
  CHECK(pieces_of("Hello world") == Pieces{"Hello", " world"});
  CHECK(pieces_of("It's 10  am") == Pieces{"It", "'s", " 10", " ", " am"});
  CHECK(pieces_of("we'll don't I'm you've they're he'd X'S") == Pieces{"we", "'ll", " don", "'t", " I", "'m",
                                                                       " you", "'ve", " they", "'re", " he",
                                                                       "'d", " X", "'", "S"});
  CHECK(pieces_of("'select 'velvet ''s '") == Pieces{"'s", "elect", " '", "velvet", " ''", "s", " '"});
  CHECK(pieces_of("a\n\nb") == Pieces{"a", "\n", "\n", "b"});
  CHECK(pieces_of("a \t b  ") == Pieces{"a", " \t", " b", "  "});
  CHECK(pieces_of("a1b2!?c") == Pieces{"a", "1", "b", "2", "!?", "c"});
  CHECK(pieces_of(" ") == Pieces{" "});
  CHECK(pieces_of("   x") == Pieces{"  ", " x"});
  CHECK(pieces_of(" \n") == Pieces{" \n"});
}

TEST_CASE("pieces: characters of several bytes, and bytes that are no UTF-8") {
  CHECK(pieces_of("caf\xc3\xa9 \xce\xb1\xce\xb2") == Pieces{"caf\xc3\xa9", " \xce\xb1\xce\xb2"});
  CHECK(pieces_of("x\xc2\xa0y") == Pieces{"x", "\xc2\xa0", "y"});              // no-break space
  CHECK(pieces_of(" \xe2\x80\x83z") == Pieces{" ", "\xe2\x80\x83", "z"});      // em space
  CHECK(pieces_of("\xd9\xa3\x35") == Pieces{"\xd9\xa3\x35"});                  // Arabic-Indic digit three, 5
  CHECK(pieces_of("a\xf0\x9f\x98\x80!") == Pieces{"a", "\xf0\x9f\x98\x80!"});  // a smiling face
  CHECK(pieces_of("\xe1\xa0\x8ex") == Pieces{"\xe1\xa0\x8e", "x"});            // U+180E is not white space
  CHECK(pieces_of("a\xffz \xc3") == Pieces{"a", "\xff", "z", " \xc3"});
  CHECK(pieces_of("\xc0\x80\xed\xa0\x80\xf5") == Pieces{"\xc0\x80\xed\xa0\x80\xf5"});
  CHECK(pieces_of("\xe0\x83\xa9q") == Pieces{"\xe0\x83\xa9", "q"});  // the letter U+00E9, encoded too long
}

TEST_CASE("pieces: the classes of code points") {
  CHECK(char_class('a') == CharClass::letter);
  CHECK(char_class('7') == CharClass::number);
  CHECK(char_class('\n') == CharClass::white_space);
  CHECK(char_class(0x85) == CharClass::white_space);
  CHECK(char_class('_') == CharClass::other);
  CHECK(char_class(0x4e00) == CharClass::letter);
  CHECK(char_class(0x0300) == CharClass::other);   // a combining accent is a mark, not a letter
  CHECK(char_class(0x2167) == CharClass::number);  // Roman numeral eight
  CHECK(char_class(0x1f600) == CharClass::other);
  CHECK(char_class(0x10ffff) == CharClass::other);
}

TEST_CASE("pieces: the short way for short words agrees with the general way") {
  // A text of fewer than nine bytes takes the general way, so the same text with and without a tail must
  // agree.
  const std::string alphabet[] = {" ", "a", "Z", "z", "@", "[", "`", "{", "1", "'", "\n", "\xc3\xa9", "\xff"};
  Rng rng(2);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    while (text.size() < 7) text += alphabet[rng.below(std::size(alphabet))];
    text.resize(7);
    const std::size_t alone = piece_length(text);
    if (alone >= 6) continue;  // the tail may continue the piece
    CAPTURE(text);
    const std::string longer = text + "!!!!!!!!!!";
    if (text[alone] == ' ' || static_cast<unsigned char>(text[alone]) < 128)
      REQUIRE(piece_length(longer) == alone);
  }
  for (std::size_t letters = 1; letters < 40; ++letters) {
    for (const char* before : {"", " "}) {
      for (const char* after : {" x", "!", "\xc3\xa9 ", "1", ""}) {
        const std::string word = before + std::string(letters, 'w');
        const std::size_t more = after[0] == '\xc3' ? 2 : 0;
        CAPTURE(letters, before, after);
        CHECK(piece_length(word + after) == word.size() + more);
        CHECK(piece_length(word + after + "          ") == word.size() + more);
      }
    }
  }
}

TEST_CASE("pieces: a text is cut only after a letter and before white space") {
  CHECK(cut_before("one two", 5) == 3);
  CHECK(cut_before("one two", 3) == 3);
  CHECK(cut_before("one two", 2) == 0);
  CHECK(cut_before("one, two", 6) == 0);
  CHECK(cut_before("ab\ncd", 4) == 2);
  CHECK(cut_before("one two", 7) == 0);  // not at the end
  CHECK(cut_before("", 0) == 0);
}

}  // namespace
}  // namespace inkling
