// End-of-text at every place in a tokenizer's file: the first id, an id in the middle, the last id, or
// GPT-2's id 50256 in a longer table.
#include <optional>

#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "nn/file_header.h"
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
    "tokenizer: a version 2 file names its end-of-text: the first id, an id in the middle or the last") {
  for (const std::int32_t end : {0, 1, 2, 3}) {
    INFO("end-of-text is " << end);
    std::vector<std::string> tokens = {"a", "b", "ab"};
    tokens.insert(tokens.begin() + end, "<|endoftext|>");
    const Tokenizer tokenizer = parse(file_of(2, end, tokens));
    CHECK(tokenizer.end_of_text() == end);
    CHECK(end_of_text(tokenizer, 4) == end);
    CHECK(tokenizer.kind() == Tokenizer::Kind::bpe);  // the kind depends on a, b and ab only
    CHECK(tokenizer.decode(Ids{end}) == "<|endoftext|>");
    const test::TemporaryDirectory directory;
    tokenizer.write(directory / "tokenizer.bin");
    CHECK(Tokenizer::read(directory / "tokenizer.bin").end_of_text() == end);
  }
}

TEST_CASE("tokenizer: encoding never gives end-of-text, even if the text contains its bytes") {
  // A table of single bytes. Its end-of-text is also printed as "b".
  const Tokenizer bytes = parse(file_of(2, 0, {"b", "a", "b", "c"}));
  CHECK(bytes.kind() == Tokenizer::Kind::bytes);
  CHECK(bytes.encode("abcb") == Ids{1, 2, 3, 2});
  // End-of-text is first a longer match than every other token, then the only match. It is never used.
  const Tokenizer words = parse(file_of(2, 1, {"xy", "xyz", "z", "x"}));
  CHECK(words.kind() == Tokenizer::Kind::words);
  CHECK(words.encode("xyzx") == Ids{0, 2, 3});
  const Tokenizer needs_it = parse(file_of(2, 2, {"a", "b", "c"}));
  CHECK_THROWS_WITH(needs_it.encode("abc"), contains("fits the text at byte 2"));
}

TEST_CASE("tokenizer: a version 1 file has end-of-text 50256, even if this is not the last id") {
  std::vector<std::string> tokens(50260, "z");
  tokens[50256] = "<|endoftext|>";
  const Tokenizer tokenizer = parse(file_of(1, 7, tokens));  // version 1 ignores header[3], here 7
  CHECK(tokenizer.vocab_size() == 50260);
  CHECK(tokenizer.end_of_text() == 50256);
  CHECK(end_of_text(tokenizer, 50260) == 50256);
  CHECK(tokenizer.decode(Ids{50256}) == "<|endoftext|>");
}

TEST_CASE("tokenizer: without a tokenizer, end-of-text is the last id of the model's vocabulary") {
  CHECK(end_of_text(std::nullopt, 50257) == 50256);
  CHECK(end_of_text(std::nullopt, 1) == 0);
}

}  // namespace
}  // namespace inkling
