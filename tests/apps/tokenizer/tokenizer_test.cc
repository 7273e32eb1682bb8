// Tokenizers: encoding and decoding with every kind, and malformed files.
#include "apps/tokenizer/tokenizer.h"

#include <cstring>

#include "core/error.h"
#include "core/rng.h"
#include "nn/file_header.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using Ids = std::vector<std::int32_t>;

// The bytes of a tokenizer file, valid or malformed.
std::string file_of(std::int32_t version, std::int32_t V, std::int32_t end_of_text, const std::string& body) {
  Header header;
  header[0] = 20240328, header[1] = version, header[2] = V, header[3] = end_of_text;
  return std::string(reinterpret_cast<const char*>(header.ints), Header::kBytes) + body;
}

Tokenizer parse(const std::string& bytes) {
  return Tokenizer::parse(ByteReader(std::as_bytes(std::span(bytes)), "some.bin"));
}

TEST_CASE("tokenizer: bytes: encoding and decoding gives any bytes back") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  CHECK(tokenizer.kind() == Tokenizer::Kind::bytes);
  CHECK(tokenizer.vocab_size() == 257);
  CHECK(tokenizer.end_of_text() == 256);
  Rng rng(1);
  for (std::size_t length = 0; length < 400; ++length) {
    std::string text(length, '\0');
    for (char& c : text) c = static_cast<char>(rng.below(256));
    const Ids ids = tokenizer.encode(text);
    REQUIRE(ids.size() == length);
    REQUIRE(tokenizer.decode(ids) == text);
  }
}

TEST_CASE("tokenizer: end-of-text is printed as <|endoftext|>, but that text is encoded as bytes") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  CHECK(tokenizer.decode(Ids{256}) == "<|endoftext|>");
  const Ids ids = tokenizer.encode("<|endoftext|>");
  CHECK(ids.size() == 13);
  CHECK(std::count(ids.begin(), ids.end(), 256) == 0);
}

TEST_CASE("tokenizer: words: encoding takes the longest token that fits") {
  const Tokenizer tokenizer({" a", " an", " and", "d", " ", "Once", "<|endoftext|>"}, 6);
  CHECK(tokenizer.kind() == Tokenizer::Kind::words);
  CHECK(tokenizer.encode("Once and an a") == Ids{5, 2, 1, 0});
  CHECK(tokenizer.encode(" ad d") == Ids{0, 3, 4, 3});
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.decode(tokenizer.encode("Once an a d and")) == "Once an a d and");
}

TEST_CASE("tokenizer: words: text that no token fits is an error with the byte's place") {
  const Tokenizer tokenizer({" and", "Once", "<|endoftext|>"}, 2, "words.bin");
  CHECK_THROWS_WITH(
      tokenizer.encode("Once and\nthen there was a boy, far away"),
      contains("words.bin") && contains("at byte 8") && contains("\"?then there was a boy, f...\""));
  CHECK_THROWS_WITH(tokenizer.encode("Once an"), contains("at byte 4") && contains("\" an\""));
}

TEST_CASE("tokenizer: the kind depends on all tokens except end-of-text") {
  using Kind = Tokenizer::Kind;
  CHECK(Tokenizer({"a", "b", "<|endoftext|>"}, 2).kind() == Kind::bytes);
  CHECK(Tokenizer({"a", "b", "ab", "aba", "<|endoftext|>"}, 4).kind() == Kind::bpe);
  CHECK(Tokenizer({"a", "b", "ab", "bca", "<|endoftext|>"}, 4).kind() == Kind::words);
  CHECK(Tokenizer({"<|endoftext|>"}, 0).kind() == Kind::bytes);
}

TEST_CASE("tokenizer: with all 256 bytes, a longer token makes the table BPE") {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.emplace_back("<|endoftext|>");
  CHECK(Tokenizer(tokens, 256).kind() == Tokenizer::Kind::bytes);
  tokens.emplace_back("<|user|>");
  const Tokenizer tokenizer(tokens, 256);
  CHECK(tokenizer.kind() == Tokenizer::Kind::bpe);
  CHECK(tokenizer.encode("<|user|>").size() == 8);  // an added token is never used for text
  CHECK(tokenizer.decode(Ids{257, 'a'}) == "<|user|>a");
}

TEST_CASE("tokenizer: ids out of range are errors") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  CHECK_THROWS_WITH(tokenizer.decode(Ids{65, 257}), contains("257") && contains("256"));
  CHECK_THROWS_WITH(tokenizer.decode(Ids{-1}), contains("-1"));
}

TEST_CASE("tokenizer: a written file is read back the same") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t_tokenizer.bin";
  const Tokenizer tokenizer({"a", std::string("\0x", 2), std::string(255, 'y'), "<|endoftext|>"}, 3);
  tokenizer.write(path);
  const Tokenizer read = Tokenizer::read(path);
  CHECK(read.end_of_text() == 3);
  REQUIRE(read.vocab_size() == 4);
  for (std::int32_t id = 0; id < 4; ++id) CHECK(read.token(id) == tokenizer.token(id));
  CHECK(test::read_text(path).size() == 1024 + 2 + 3 + 256 + 14);
}

TEST_CASE("tokenizer: version 1 files have GPT-2's end-of-text") {
  std::string body;
  for (int id = 0; id < 50257; ++id) body += "\x01z";
  CHECK(parse(file_of(1, 50257, 0, body)).end_of_text() == 50256);
  CHECK_THROWS_WITH(parse(file_of(1, 2, 0,
                                  "\x01"
                                  "a\x01"
                                  "b")),
                    contains("end-of-text is token 50256"));
}

TEST_CASE("tokenizer: a malformed file is refused, and the message says what is wrong") {
  const std::string two =
      "\x01"
      "a\x02"
      "bc";
  REQUIRE(parse(file_of(2, 2, 1, two)).vocab_size() == 2);
  CHECK_THROWS_WITH(parse(file_of(3, 2, 1, two)), contains("version is 3, expected 1 or 2 (at byte 4)"));
  CHECK_THROWS_WITH(parse(file_of(2, 0, 1, two)),
                    contains("vocabulary is 0 tokens") && contains("(at byte 8)"));
  CHECK_THROWS_WITH(parse(file_of(2, -5, 1, two)), contains("vocabulary is -5"));
  // A wrong V is compared with the file's five bytes before memory is allocated.
  CHECK_THROWS_WITH(parse(file_of(2, 2'000'000'000, 1, two)), contains("2000000000") && contains("5 bytes"));
  CHECK_THROWS_WITH(parse(file_of(2, 3, 1, two + "xxx")), contains("truncated"));
  CHECK_THROWS_WITH(parse(file_of(2, 2, 1, two + "x")), contains("1 more bytes follow"));
  CHECK_THROWS_WITH(parse(file_of(2, 2, 1,
                                  std::string("\x01"
                                              "a\x00\x00",
                                              4))),
                    contains("token 1 has 0 bytes"));
  CHECK_THROWS_WITH(parse(file_of(2, 2, 2, two)),
                    contains("end-of-text is token 2, expected 0 .. V-1=1 (at byte 12)"));
  CHECK_THROWS_WITH(parse(file_of(2, 2, -1, two)), contains("end-of-text is token -1"));
  std::string magic = file_of(2, 2, 1, two);
  magic[0] = 'x';
  CHECK_THROWS_WITH(parse(magic), contains("not a tokenizer file"));
}

TEST_CASE("tokenizer: a truncated file is an error, for every length") {
  const std::string whole = file_of(2, 3, 2,
                                    "\x01"
                                    "a\x02"
                                    "bc\x03"
                                    "def");
  REQUIRE_NOTHROW(parse(whole));
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_THROWS_AS(parse(whole.substr(0, length)), Error);
}

}  // namespace
}  // namespace inkling
