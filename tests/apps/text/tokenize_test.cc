// tokenize_file() turns a text file into shards and a tokenizer. No byte is lost, documents are separated,
// and the end of the text is for validation.
#include "apps/text/tokenize.h"

#include "apps/text/shard.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

Ids read_shard(const std::string& path) {
  const Shard shard(path);
  Ids ids(static_cast<std::size_t>(shard.size()));
  shard.copy(0, shard.size(), ids.data());
  return ids;
}

struct Files {
  TemporaryDirectory directory;
  TokenizeSettings settings;

  explicit Files(const std::string& text) {
    settings.input = directory / "my.txt";
    settings.out = directory / "my";
    settings.min_val_tokens = 4;
    test::write_text(settings.input, text);
  }
};

TEST_CASE("tokenize: only separator lines cut the text into documents") {
  using Documents = std::vector<std::string_view>;
  CHECK(split_documents("one\ntwo") == Documents{"one\ntwo"});
  CHECK(split_documents("one\n<|endoftext|>\ntwo\n") == Documents{"one\n", "two\n"});
  CHECK(split_documents("<|endoftext|>\none\r\n<|endoftext|>\r\n<|endoftext|>\ntwo\n<|endoftext|>") ==
        Documents{"one\r\n", "two\n"});
  CHECK(split_documents("a <|endoftext|>\n<|endoftext|> b\n") ==
        Documents{"a <|endoftext|>\n<|endoftext|> b\n"});
  CHECK(split_documents("").empty());
  CHECK(split_documents("<|endoftext|>\n").empty());
}

TEST_CASE("tokenize: of one document the last tenth is for validation, and no byte is lost") {
  std::string text;
  for (int i = 0; i < 999; ++i) text += static_cast<char>('a' + i % 26);
  Files files(text);
  const TokenizeResult result = tokenize_file(files.settings);
  const Tokenizer tokenizer = Tokenizer::read(result.tokenizer_path);
  const Ids train = read_shard(result.train_path), val = read_shard(result.val_path);
  CHECK(result.documents == 1);
  CHECK(result.text_bytes == 999);
  CHECK(result.train_tokens == 900);
  CHECK(result.val_tokens == 101);  // 100 tokens, and an end-of-text token before them
  CHECK(std::ssize(train) == result.train_tokens);
  CHECK(std::ssize(val) == result.val_tokens);
  CHECK(train.front() == tokenizer.end_of_text());
  CHECK(val.front() == tokenizer.end_of_text());
  CHECK(tokenizer.decode(std::span(train).subspan(1)) + tokenizer.decode(std::span(val).subspan(1)) == text);
}

TEST_CASE("tokenize: validation begins at the start of a document if one is near") {
  std::string text;
  for (int document = 0; document < 20; ++document)
    text += "<|endoftext|>\n" + std::string(49, static_cast<char>('a' + document));
  // There are 20 documents of 51 tokens. The last 12% of the tokens begin inside the third document from the
  // end, so validation begins with that document.
  for (std::size_t at = 0; (at = text.find("<|endoftext|>", at + 1)) != std::string::npos;)
    text.insert(at++, "\n");
  Files files(text);
  files.settings.val_fraction = 0.12;
  const TokenizeResult result = tokenize_file(files.settings);
  const Ids val = read_shard(result.val_path);
  CHECK(result.documents == 20);
  CHECK(val.front() == 256);
  CHECK(std::count(val.begin(), val.end(), 256) == 3);
  CHECK(val[1] == 'r');
  CHECK(std::ssize(val) < 2 * 125);
}

TEST_CASE("tokenize: of a small text, validation gets enough tokens for a batch, but at most half") {
  Files files(std::string(99, 'x'));
  files.settings.min_val_tokens = 30;
  CHECK(tokenize_file(files.settings).val_tokens == 31);
  files.settings.min_val_tokens = 1000;
  CHECK(tokenize_file(files.settings).val_tokens == 51);
}

TEST_CASE("tokenize: a given tokenizer is used, and is written beside the shards") {
  Files files("one two\n<|endoftext|>\ntwo two one two two two");
  files.settings.tokenizer_path = files.directory / "words.bin";
  Tokenizer({"one", "two", " one", " two", "\n", "<|endoftext|>"}, 5).write(files.settings.tokenizer_path);
  const TokenizeResult result = tokenize_file(files.settings);
  CHECK(read_shard(result.train_path) == Ids{5, 0, 3, 4});
  CHECK(read_shard(result.val_path) == Ids{5, 1, 3, 2, 3, 3, 3});
  CHECK(Tokenizer::read(result.tokenizer_path).token(3) == " two");

  test::write_text(files.settings.input, "one two\n<|endoftext|>\none three");
  CHECK_THROWS_WITH(tokenize_file(files.settings), contains("my.txt: the document at byte 22") &&
                                                       contains("at byte 3") && contains("\" three\""));
}

TEST_CASE(
    "tokenize: a byte-order mark is left out, and UTF-16 is refused with the command that converts it") {
  const Files marked("\xef\xbb\xbf<|endoftext|>\none document\n"), plain("<|endoftext|>\none document\n");
  const TokenizeResult result = tokenize_file(marked.settings), want = tokenize_file(plain.settings);
  CHECK(result.documents == 1);
  CHECK(result.text_bytes == want.text_bytes);
  CHECK(test::read_text(result.train_path) == test::read_text(want.train_path));
  for (const char* mark : {"\xff\xfe", "\xfe\xff"}) {
    const Files wide(std::string(mark) + "h\1e\1l\1l\1o\1");
    CHECK_THROWS_WITH(tokenize_file(wide.settings),
                      contains("is UTF-16, expected UTF-8; convert it first: iconv -f UTF-16 -t UTF-8"));
  }
}

TEST_CASE("tokenize: separators inside lines are text, and are counted") {
  const Files files("one<|endoftext|>two <|endoftext|>\n<|endoftext|>\n <|endoftext|> three\n");
  const TokenizeResult result = tokenize_file(files.settings);
  CHECK(result.documents == 2);
  CHECK(result.inline_separators == 3);
}

TEST_CASE("tokenize: short or empty texts and wrong settings are refused") {
  Files files("short");
  CHECK_THROWS_WITH(tokenize_file(files.settings), contains("has 6 tokens, expected at least 8"));
  test::write_text(files.settings.input, "");
  CHECK_THROWS_WITH(tokenize_file(files.settings), contains("is empty"));
  test::write_text(files.settings.input, "long enough for eight tokens");
  for (double fraction : {0.0, 1.0, -0.1, std::nan("")}) {
    files.settings.val_fraction = fraction;
    CHECK_THROWS_WITH(tokenize_file(files.settings), contains("validation fraction"));
  }
  files.settings.val_fraction = 0.999;
  CHECK(tokenize_file(files.settings).train_tokens == 2);
  files.settings.out = files.directory / "nowhere/my";
  CHECK_THROWS_AS(tokenize_file(files.settings), Error);
}

}  // namespace
}  // namespace inkling
