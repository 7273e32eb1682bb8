// Documents: texts of any size are read in parts, and the documents do not depend on the size of the parts.
#include "apps/tokenize/documents.h"

#include <filesystem>

#include "core/error.h"
#include "core/rng.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Texts = std::vector<std::string>;

// The documents of a file, each with all its parts joined.
Texts documents_of(const std::string& path, std::size_t part_bytes = 4096, std::size_t longest = 1 << 16) {
  Texts documents;
  DocumentPart part;
  const std::string whole = test::read_text(path);
  for (DocumentReader reader(path, part_bytes, longest); reader.next(part);) {
    CHECK_FALSE(part.text.empty());
    REQUIRE(whole.substr(static_cast<std::size_t>(part.at), part.text.size()) == part.text);
    if (part.begins) documents.emplace_back();
    REQUIRE_FALSE(documents.empty());
    documents.back() += part.text;
  }
  return documents;
}

Texts documents_in(const std::string& text, std::size_t part_bytes = 4096) {
  const TemporaryDirectory directory;
  test::write_text(directory / "text", text);
  return documents_of(directory / "text", part_bytes);
}

TEST_CASE("documents: only separator lines cut the text into documents") {
  CHECK(documents_in("one\ntwo") == Texts{"one\ntwo"});
  CHECK(documents_in("one\n<|endoftext|>\ntwo\n") == Texts{"one\n", "two\n"});
  CHECK(documents_in("<|endoftext|>\none\r\n<|endoftext|>\r\n<|endoftext|>\ntwo\n<|endoftext|>") ==
        Texts{"one\r\n", "two\n"});
  CHECK(documents_in("a <|endoftext|>\n<|endoftext|> b\n") == Texts{"a <|endoftext|>\n<|endoftext|> b\n"});
  CHECK(documents_in("").empty());
  CHECK(documents_in("<|endoftext|>\n").empty());
  CHECK(documents_in("<|endoftext|>").empty());
  CHECK(documents_in("x<|endoftext|>") == Texts{"x<|endoftext|>"});
}

TEST_CASE("documents: the size of the parts changes no document") {
  Rng rng(4);
  const std::string words[] = {"word",
                               " ",
                               "\n",
                               "\r\n",
                               "<|endoftext|>",
                               "\n<|endoftext|>\n",
                               "\n<|endoftext|>\r\n",
                               "<|endoftext|>\n",
                               " and more",
                               "\xc3\xa9",
                               "."};
  for (int round = 0; round < 40; ++round) {
    std::string text;
    for (int i = 0; i < 300; ++i) text += words[rng.below(std::size(words))];
    const Texts whole = documents_in(text, text.size() + 100);
    for (const std::size_t part_bytes : {1u, 17u, 40u, 200u}) {
      CAPTURE(round, part_bytes);
      REQUIRE(documents_in(text, part_bytes) == whole);
    }
  }
}

TEST_CASE("documents: a text without a place to cut is cut at the limit, between two characters") {
  const TemporaryDirectory directory;
  std::string text;
  while (text.size() < 5000) text += "\xe4\xbd\xa0";
  test::write_text(directory / "text", text);
  DocumentPart part;
  std::string joined;
  std::size_t parts = 0;
  for (DocumentReader reader(directory / "text", 64, 512); reader.next(part); ++parts) {
    CHECK(part.text.size() <= 1024);
    if (joined.size() + part.text.size() < text.size()) CHECK(part.text.size() % 3 == 0);
    joined += part.text;
  }
  CHECK(parts > 5);
  CHECK(joined == text);
}

TEST_CASE("documents: a directory stands for its files, by name, without hidden ones") {
  const TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "d/sub");
  std::filesystem::create_directories(directory / "d/.git");
  for (const char* name : {"d/b.txt", "d/a.txt", "d/sub/c.txt", "d/.hidden", "d/.git/config"})
    test::write_text(directory / name, "text");
  CHECK(
      find_text_files({directory / "d", directory / "d/b.txt"}) ==
      Texts{directory / "d/a.txt", directory / "d/b.txt", directory / "d/sub/c.txt", directory / "d/b.txt"});
  std::filesystem::create_directories(directory / "empty");
  CHECK_THROWS_WITH(find_text_files({directory / "empty"}), contains("empty") && contains("no files"));
  CHECK_THROWS_WITH(DocumentReader(directory / "missing"), contains("missing") && contains("No such file"));
}

}  // namespace
}  // namespace inkling
