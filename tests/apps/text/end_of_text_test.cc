// End-of-text wherever a tokenizer's file puts it: first, in the middle, or at GPT-2's place in a longer
// table.
#include <optional>

#include "apps/text/tokenizer.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using Ids = std::vector<std::int32_t>;

std::string file_of(std::int32_t version, std::int32_t end_of_text, const std::vector<std::string>& tokens) {
  Header header;
  header[0] = 20240328, header[1] = version, header[2] = static_cast<std::int32_t>(tokens.size());
  header[3] = end_of_text;
  std::string bytes(reinterpret_cast<const char*>(header.ints), Header::kBytes);
  for (const std::string& token : tokens) bytes += static_cast<char>(token.size()) + token;
  return bytes;
}

Tokenizer parse(const std::string& bytes) {
  return Tokenizer::parse(ByteReader(std::as_bytes(std::span(bytes)), "some.bin"));
}

TEST_CASE(
    "tokenizer: a version 2 file names its end-of-text, be it the first id, one in the middle or the last") {
  for (const std::int32_t end : {0, 1, 2, 3}) {
    INFO("end-of-text is " << end);
    std::vector<std::string> tokens = {"a", "b", "ab"};
    tokens.insert(tokens.begin() + end, "<|endoftext|>");
    const Tokenizer tokenizer = parse(file_of(2, end, tokens));
    CHECK(tokenizer.end_of_text() == end);
    CHECK(end_of_text(tokenizer, 4) == end);
    CHECK(tokenizer.kind() == Tokenizer::Kind::bpe);  // of a, b and ab alone
    CHECK(tokenizer.decode(Ids{end}) == "<|endoftext|>");
    const test::TemporaryDirectory directory;
    tokenizer.write(directory / "tokenizer.bin");
    CHECK(Tokenizer::read(directory / "tokenizer.bin").end_of_text() == end);
  }
}

TEST_CASE("tokenizer: encoding never gives end-of-text, even where the text holds its bytes") {
  // A table of bytes, whose end-of-text is printed as "b".
  const Tokenizer bytes = parse(file_of(2, 0, {"b", "a", "b", "c"}));
  CHECK(bytes.kind() == Tokenizer::Kind::bytes);
  CHECK(bytes.encode("abcb") == Ids{1, 2, 3, 2});
  // First an end-of-text longer than every other match, then one that is the only match.
  const Tokenizer words = parse(file_of(2, 1, {"xy", "xyz", "z", "x"}));
  CHECK(words.kind() == Tokenizer::Kind::words);
  CHECK(words.encode("xyzx") == Ids{0, 2, 3});
  const Tokenizer needs_it = parse(file_of(2, 2, {"a", "b", "c"}));
  CHECK_THROWS_WITH(needs_it.encode("abc"), contains("fits the text at byte 2"));
}

TEST_CASE("tokenizer: a version 1 file has its end-of-text at 50256, also when that is not the last id") {
  std::vector<std::string> tokens(50260, "z");
  tokens[50256] = "<|endoftext|>";
  const Tokenizer tokenizer = parse(file_of(1, 7, tokens));  // h[3] means nothing in version 1
  CHECK(tokenizer.vocab_size() == 50260);
  CHECK(tokenizer.end_of_text() == 50256);
  CHECK(end_of_text(tokenizer, 50260) == 50256);
  CHECK(tokenizer.decode(Ids{50256}) == "<|endoftext|>");
}

TEST_CASE("tokenizer: without a tokenizer, end-of-text is the model's last id") {
  CHECK(end_of_text(std::nullopt, 50257) == 50256);
  CHECK(end_of_text(std::nullopt, 1) == 0);
}

}  // namespace
}  // namespace inkling
