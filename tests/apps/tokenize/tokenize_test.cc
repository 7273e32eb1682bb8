// tokenize_files() turns a text file into shards and a tokenizer. No byte is lost, documents are separated,
// and the end of the text is for validation.
#include "apps/tokenize/tokenize.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "apps/text/shard.h"
#include "apps/text/token_flags.h"
#include "core/error.h"
#include "core/parallel.h"
#include "tests/apps/read_shard.h"
#include "tests/catch.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::read_shard;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

struct Files {
  TemporaryDirectory directory;
  TokenizeSettings settings;

  explicit Files(const std::string& text) {
    settings.inputs = {directory / "my.txt"};
    settings.out = directory / "my";
    settings.bytes = true;
    settings.min_val_tokens = 4;
    test::write_text(settings.inputs[0], text);
  }
};

TEST_CASE("tokenize: of one document the last tenth is for validation, and no byte is lost") {
  std::string text;
  for (int i = 0; i < 999; ++i) text += static_cast<char>('a' + i % 26);
  Files files(text);
  const TokenizeResult result = tokenize_files(files.settings);
  const Tokenizer tokenizer = Tokenizer::read(result.tokenizer_path);
  const Ids train = read_shard(result.train_paths.at(0)), val = read_shard(result.val_paths.at(0));
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
  const TokenizeResult result = tokenize_files(files.settings);
  const Ids val = read_shard(result.val_paths.at(0));
  CHECK(result.documents == 20);
  CHECK(val.front() == 256);
  CHECK(std::count(val.begin(), val.end(), 256) == 3);
  CHECK(val[1] == 'r');
  CHECK(std::ssize(val) < 2 * 125);
}

TEST_CASE("tokenize: of a small text, validation gets enough tokens for a batch, but at most half") {
  Files files(std::string(99, 'x'));
  files.settings.min_val_tokens = 30;
  CHECK(tokenize_files(files.settings).val_tokens == 31);
  files.settings.min_val_tokens = 1000;
  CHECK(tokenize_files(files.settings).val_tokens == 50);
}

TEST_CASE("tokenize: a given tokenizer is used, and is written beside the shards") {
  Files files("one two\n<|endoftext|>\ntwo two one two two two");
  files.settings.bytes = false;
  files.settings.tokenizer_path = files.directory / "words.bin";
  Tokenizer({"one", "two", " one", " two", "\n", "<|endoftext|>"}, 5).write(files.settings.tokenizer_path);
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(read_shard(result.train_paths.at(0)) == Ids{5, 0, 3, 4});
  CHECK(read_shard(result.val_paths.at(0)) == Ids{5, 1, 3, 2, 3, 3, 3});
  CHECK(Tokenizer::read(result.tokenizer_path).token(3) == " two");

  test::write_text(files.settings.inputs[0], "one two\n<|endoftext|>\none three");
  CHECK_THROWS_WITH(tokenize_files(files.settings), contains("my.txt: the text from byte 25 on") &&
                                                        contains("at byte 0") && contains("\" three\""));
}

TEST_CASE(
    "tokenize: a byte-order mark is left out, and UTF-16 is refused with the command that converts it") {
  const Files marked("\xef\xbb\xbf<|endoftext|>\none document\n"), plain("<|endoftext|>\none document\n");
  const TokenizeResult result = tokenize_files(marked.settings), want = tokenize_files(plain.settings);
  CHECK(result.documents == 1);
  CHECK(result.text_bytes == want.text_bytes);
  CHECK(test::read_text(result.train_paths.at(0)) == test::read_text(want.train_paths.at(0)));
  for (const char* mark : {"\xff\xfe", "\xfe\xff"}) {
    const Files wide(std::string(mark) + "h\1e\1l\1l\1o\1");
    CHECK_THROWS_WITH(tokenize_files(wide.settings),
                      contains("is UTF-16, expected text in UTF-8; convert it first with iconv -f UTF-16 -t UTF-8"));
  }
}

TEST_CASE("tokenize: UTF-32 is refused, and the first bytes that are not UTF-8 are named") {
  for (const std::string& mark : {std::string("\xff\xfe\0\0", 4), std::string("\0\0\xfe\xff", 4)}) {
    const Files wide(mark + "a text of more than eight bytes");
    CHECK_THROWS_WITH(tokenize_files(wide.settings), contains("is UTF-32, expected text in UTF-8"));
  }
  const Files valid("gr\xc3\xbc\xc3\x9f" "e, \xe2\x82\xac and \xf0\x9f\x98\x80");
  CHECK(tokenize_files(valid.settings).not_utf8.empty());
  const Files latin("gr\xfc\xdf" "e an alle, \xfc");
  CHECK_THAT(tokenize_files(latin.settings).not_utf8, contains("my.txt: byte 2"));
  const Files cut_off("a text that ends in a character \xe2\x82");
  CHECK_THAT(tokenize_files(cut_off.settings).not_utf8, contains("byte 32"));
}

TEST_CASE("tokenize: separators inside lines are text, and are counted") {
  const Files files("one<|endoftext|>two <|endoftext|>\n<|endoftext|>\n <|endoftext|> three\n");
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(result.documents == 2);
  CHECK(result.inline_separators == 3);
}

TEST_CASE("tokenize: short or empty texts and wrong settings are refused") {
  Files files("short");
  CHECK_THROWS_WITH(tokenize_files(files.settings), contains("has 6 tokens, expected at least 8"));
  test::write_text(files.settings.inputs[0], "");
  CHECK_THROWS_WITH(tokenize_files(files.settings), contains("has 0 tokens"));
  test::write_text(files.settings.inputs[0], "long enough for eight tokens");
  for (double fraction : {1.0, -0.1, std::nan("")}) {
    files.settings.val_fraction = fraction;
    CHECK_THROWS_WITH(tokenize_files(files.settings), contains("validation fraction"));
  }
  files.settings.val_fraction = 0.999;
  CHECK(tokenize_files(files.settings).train_tokens == 2);
  files.settings.out = files.directory / "nowhere/my";
  CHECK_THROWS_AS(tokenize_files(files.settings), Error);
}

std::string many_documents(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += str("document ", i, " says that ", i * i, " is the square of ", i, "\n<|endoftext|>\n");
  return text;
}

// Splits tokens into documents, decoded.
std::vector<std::string> documents_of(const Ids& ids, const Tokenizer& tokenizer) {
  std::vector<std::string> documents;
  for (const std::int32_t id : ids) {
    if (id == tokenizer.end_of_text()) {
      documents.emplace_back();
    } else {
      documents.back() += tokenizer.token(id);
    }
  }
  return documents;
}

TEST_CASE("tokenize: of many documents, each is chosen for validation by its text alone") {
  const auto split = [](int count) {
    Files files(many_documents(count));
    const TokenizeResult result = tokenize_files(files.settings);
    CHECK(result.split_by_document);
    CHECK(result.documents == count);
    const Tokenizer tokenizer = Tokenizer::read(result.tokenizer_path);
    return std::pair{documents_of(read_shard(result.train_paths.at(0)), tokenizer),
                     documents_of(read_shard(result.val_paths.at(0)), tokenizer)};
  };
  const auto [train, val] = split(400);
  const auto [more_train, more_val] = split(700);
  CHECK(train.size() + val.size() == 400);
  CHECK(val.size() > 20);
  CHECK(val.size() < 60);
  // The first 400 documents are on the same sides, in the same order.
  CHECK(std::equal(val.begin(), val.end(), more_val.begin()));
  CHECK(std::equal(train.begin(), train.end(), more_train.begin()));
}

TEST_CASE("tokenize: documents that differ only after 64 KiB are on the same side") {
  std::string text;
  const std::string beginning = std::string(1 << 16, 'x');
  for (int i = 0; i < 100; ++i) text += beginning + std::to_string(i) + "\n<|endoftext|>\n";
  text += many_documents(100);
  Files files(text);
  files.settings.val_fraction = 0.5;
  const TokenizeResult result = tokenize_files(files.settings);
  const std::int64_t least = std::min(result.train_tokens, result.val_tokens);
  // All long documents are on one side, or the end of the text is for validation.
  CHECK((least < 10'000 || !result.split_by_document));
}

TEST_CASE("tokenize: a fraction of 0 writes no validation shard") {
  Files files(many_documents(3));
  files.settings.val_fraction = 0;
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(result.val_paths.empty());
  CHECK_FALSE(std::filesystem::exists(files.directory / "my_val.bin"));
  CHECK(result.train_tokens == result.text_bytes + 3);
}

TEST_CASE(
    "tokenize: a tokenizer is trained on the text, and the shards are the same on any number of threads") {
  const test::RestoreThreads restore;
  Files files(many_documents(2000));
  files.settings.bytes = false;
  files.settings.vocab_size = 400;
  files.settings.hf_directory = files.directory / "hf";
  set_threads(1);
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(result.vocab_size == 400);
  CHECK(result.train_tokens < result.text_bytes / 2);
  const std::string one = test::read_text(result.train_paths.at(0));
  set_threads(3);
  tokenize_files(files.settings);
  CHECK(test::read_text(result.train_paths.at(0)) == one);
  const Tokenizer tokenizer = Tokenizer::read(result.tokenizer_path);
  CHECK(Tokenizer::read(files.directory / "hf").encode("document 7") == tokenizer.encode("document 7"));
  const auto train = documents_of(read_shard(result.train_paths.at(0)), tokenizer),
             val = documents_of(read_shard(result.val_paths.at(0)), tokenizer);
  CHECK(train.size() + val.size() == 2000);

  files.settings.vocab_size = 100000;
  CHECK(tokenize_files(files.settings).no_pair_left);
}

TEST_CASE("tokenize: the loss mask of an older shard does not stay beside the new one") {
  Files files(many_documents(3));
  const TokenizeResult first = tokenize_files(files.settings);
  const std::string mask = flags_beside(kLossMask, first.train_paths.at(0));
  TokenFlagsWriter flags(kLossMask, mask);
  flags.append(std::vector<std::uint8_t>(static_cast<std::size_t>(first.train_tokens), 0));
  flags.commit();
  REQUIRE(std::filesystem::exists(mask));
  tokenize_files(files.settings);
  CHECK_FALSE(std::filesystem::exists(mask));
}

TEST_CASE("tokenize: shards of a limited size hold the same tokens, and older shards are not mixed in") {
  Files files(many_documents(300));
  const Ids whole = read_shard(tokenize_files(files.settings).train_paths.at(0));
  files.settings.shard_tokens = 5000;
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(std::ssize(result.train_paths) == ceil_div(std::ssize(whole), 5000));
  Ids joined;
  for (const std::string& path : find_shards(files.directory / "my_train_*.bin")) {
    const Ids part = read_shard(path);
    CHECK(part.size() <= 5000);
    joined.insert(joined.end(), part.begin(), part.end());
  }
  CHECK(joined == whole);
  files.settings.shard_tokens = 9000;
  CHECK_THROWS_WITH(tokenize_files(files.settings), contains("is a shard of an earlier text"));
}

TEST_CASE("tokenize: a vocabulary over 65,535 is written as wide shards") {
  Files files(many_documents(3));
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  for (int id = 256; id < 65534; ++id) tokens.push_back("added token " + std::to_string(id));
  tokens.emplace_back("<|endoftext|>");
  files.settings.bytes = false;
  files.settings.tokenizer_path = files.directory / "wide.bin";
  Tokenizer(tokens, 65534).write(files.settings.tokenizer_path);
  CHECK_FALSE(Shard(tokenize_files(files.settings).train_paths.at(0)).wide());
  tokens.insert(tokens.end() - 1, "one more token");
  Tokenizer(tokens, 65535).write(files.settings.tokenizer_path);
  const Shard shard(tokenize_files(files.settings).train_paths.at(0));
  CHECK(shard.wide());
  CHECK(shard[0] == 65535);
}

}  // namespace
}  // namespace inkling
