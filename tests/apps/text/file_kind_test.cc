// Files that are evidently not text are refused where text is expected, with the name of what they are; so
// are texts and other files where a shard is expected.
#include "apps/text/file_kind.h"

#include "apps/text/shard.h"
#include "core/error.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using namespace std::string_view_literals;

struct Known {
  std::string_view bytes;
  const char* name;
};

const std::vector<Known>& known() {
  static const std::string tar = std::string(257, 'a') + "ustar";
  static const std::vector<Known> all = {
      {"\x1f\x8b\x08\0\0\0"sv, "compressed with gzip"},
      {"\xfd\x37zXZ\0"sv, "compressed with xz"},
      {"\x28\xb5\x2f\xfd\0"sv, "compressed with zstd"},
      {"BZh9\x31\x41\x59\x26\x53\x59"sv, "compressed with bzip2"},
      {"PK\x03\x04\x14\0"sv, "a zip archive"},
      {"7z\xbc\xaf\x27\x1c\0"sv, "a 7z archive"},
      {tar, "a tar archive"},
      {"\x89PNG\r\n\x1a\n\0"sv, "a PNG image"},
      {"\xff\xd8\xff\xe0"sv, "a JPEG image"},
      {"GIF89a"sv, "a GIF image"},
      {"%PDF-1.7\n"sv, "a PDF document"},
      {"\x7f"
       "ELF\x02"sv,
       "a program or library (ELF)"},
      {"GGUF\x03\0\0\0"sv, "a GGUF model of llama.cpp"},
      {"\x40\0\0\0\0\0\0\0{\"__metadata__\":"sv, "a safetensors model"},
      {"PAR1\x15\0"sv, "a Parquet table"},
      {"SQLite format 3\0"sv, "an SQLite database"},
      {"\x93NUMPY\x01\0"sv, "a NumPy array"},
      {"\xff\xfe"
       "a\0"sv,
       "UTF-16"},
      {"\xff\xfe\0\0a\0\0\0"sv, "UTF-32"},
  };
  return all;
}

std::string llmc_file(std::int32_t magic) {
  std::string bytes(1024, '\0');
  std::memcpy(bytes.data(), &magic, sizeof magic);
  return bytes;
}

const std::vector<std::pair<std::int32_t, const char*>> kLlmc = {
    {20240326, "a model checkpoint of llm.c"},
    {20240327, "a debug state of llm.c"},
    {20240328, "a tokenizer of llm.c"},
    {20240520, "a token shard of llm.c"},
    {20240801, "a token shard of llm.c"},
    {20240522, "a file of multiple-choice questions"},
    {20261121, "a loss mask"},
    {20261122, "the state of an optimiser"},
    {20261123, "a file of document starts"}};

TEST_CASE("file kind: each kind is recognised by its first bytes, and its beginning alone is no kind") {
  for (const auto& [bytes, name] : known()) {
    INFO(name);
    CHECK_THAT(std::string(file_kind(bytes).name), contains(name));
    CHECK(file_kind(bytes.substr(0, 1)).name.empty());
    CHECK_THROWS_WITH(expect_text("f", bytes),
                      contains("f: is " + std::string(name)) && contains(", expected text"));
  }
  for (const auto& [magic, name] : kLlmc) CHECK(file_kind(llmc_file(magic)).name == name);
}

TEST_CASE("file kind: text and unknown bytes are no kind") {
  for (const std::string_view text :
       {""sv, "a"sv, "Once upon a time"sv, "{\"text\": \"a\"}"sv, "gr\xc3\xbc\xc3\x9f"sv,
        "\xef\xbb\xbftext"sv, "PAR1S is a word"sv, "BZh is one, too"sv, "PK, said the goalkeeper"sv,
        "\0\1\2\3"sv, "\x80\x81"sv}) {
    CHECK(file_kind(text).name.empty());
    CHECK_NOTHROW(expect_text("f", text));
  }
  CHECK(looks_like_text("a text\twith\r\nlines"));
  CHECK(looks_like_text("a character that is cut off \xe2\x82"));
  CHECK_FALSE(looks_like_text("control \x01 characters"));
  CHECK_FALSE(looks_like_text("latin \xfc and more text after it"));
  CHECK_FALSE(looks_like_text(""));
}

TEST_CASE("file kind: tokenize refuses each kind with one line that names it, as text and as JSON lines") {
  const TemporaryDirectory temporary;
  const auto refused = [&](const std::string& bytes, const std::string& name) {
    for (const char* file : {"input.txt", "input.jsonl"}) {
      write_text(temporary / file, bytes + std::string(100, '\n'));
      expect({"tokenize", "--input", temporary / file, "--bytes", "--out", temporary / "out"}, 1,
             {str(file, ": is ", name), "expected text in UTF-8"});
    }
  };
  for (const std::size_t i :
       {std::size_t{0}, std::size_t{4}, std::size_t{7}, std::size_t{11}, std::size_t{12}, std::size_t{13}})
    refused(std::string(known()[i].bytes), known()[i].name);
  refused(llmc_file(20240326), "a model checkpoint of llm.c");
  refused(llmc_file(20240520), "a token shard of llm.c");
  CHECK_FALSE(std::filesystem::exists(temporary / "out_train.bin"));
  // From standard input, and in a directory.
  write_text(temporary / "image", std::string(known()[7].bytes));
  const Outcome piped =
      run({"tokenize", "--input", "-", "--bytes", "--out", temporary / "out"}, 0, temporary / "image");
  CHECK(piped.status == 1);
  CHECK_THAT(piped.err, contains("standard input: is a PNG image, expected text in UTF-8"));
}

TEST_CASE("file kind: train --data refuses text and other files with one line that names them") {
  const TemporaryDirectory temporary;
  write_text(temporary / "my.txt", "Once upon a time there was a text.\n");
  expect({"train", "--data", temporary / "my.txt", "--out", temporary / "run"}, 1,
         {"my.txt: is text, expected a token shard; make shards of it with inkling tokenize --input"});
  write_text(temporary / "my.gz", std::string(known()[0].bytes) + "packed");
  expect({"train", "--data", temporary / "my.gz", "--out", temporary / "run"}, 1,
         {"my.gz: is compressed with gzip, expected a token shard"});
  expect({"train", "--data", "tests/goldens/small.bin", "--out", temporary / "run"}, 1,
         {"small.bin: is a model checkpoint of llm.c, expected a token shard"});
  expect({"inspect", temporary / "my.txt"}, 1, {"my.txt: is text, expected a file of inkling or llm.c"});
  expect({"inspect", temporary / "my.gz"}, 1, {"my.gz: is compressed with gzip, expected a file of inkling"});
}

}  // namespace
}  // namespace inkling
