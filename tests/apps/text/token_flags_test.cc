// Token flags: reading, writing and malformed files.
#include "apps/text/token_flags.h"

#include "apps/text/shard.h"
#include "core/error.h"
#include "nn/file_header.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Flags = std::vector<std::uint8_t>;

std::string write_flags(const FlagKind& kind, const std::string& path, const Flags& flags,
                        std::int64_t row_tokens = 0) {
  TokenFlagsWriter writer(kind, path, row_tokens);
  writer.append(flags);
  writer.commit();
  return path;
}

std::string file_of(const std::vector<std::int32_t>& header, const std::string& body) {
  Header full;
  std::copy(header.begin(), header.end(), full.ints);
  return std::string(reinterpret_cast<const char*>(full.ints), Header::kBytes) + body;
}

FlagLayout parse(const std::string& bytes, const FlagKind& kind = kLossMask) {
  ByteReader in(std::as_bytes(std::span(bytes)), "some.mask");
  return parse_token_flags(in, kind);
}

TEST_CASE("token flags: flags are read back, and counted in any range") {
  const TemporaryDirectory directory;
  Flags flags;
  for (int i = 0; i < 1000; ++i) flags.push_back(i % 3 == 0 || i % 7 == 0);
  {
    TokenFlagsWriter writer(kDocumentStarts, directory / "a.starts", 64);
    writer.append(std::span(flags).first(1));  // flags can be appended in pieces
    writer.append(std::span(flags).subspan(1));
    CHECK(writer.size() == 1000);
    CHECK_FALSE(std::filesystem::exists(directory / "a.starts"));
    writer.commit();
  }
  CHECK(std::filesystem::file_size(directory / "a.starts") == 1024 + 1000);
  const TokenFlags read(kDocumentStarts, directory / "a.starts", 1000);
  CHECK(read.row_tokens() == 64);
  for (std::int64_t i = 0; i < 1000; ++i) REQUIRE(read[i] == (flags[static_cast<std::size_t>(i)] == 1));
  for (const auto& [begin, end] : {std::pair{0, 1000}, {0, 0}, {1, 1000}, {500, 501}, {999, 1000}})
    CHECK(read.count(begin, end) == std::count(flags.begin() + begin, flags.begin() + end, 1));
}

TEST_CASE("token flags: a loss mask has exactly the documented bytes") {
  const TemporaryDirectory directory;
  write_flags(kLossMask, directory / "a.mask", {0, 1, 1});
  CHECK((test::read_text(directory / "a.mask") == file_of({20261121, 1, 3}, std::string("\0\1\1", 3))));
  write_flags(kDocumentStarts, directory / "a.starts", {1}, 9);
  CHECK((test::read_text(directory / "a.starts") == file_of({20261123, 1, 1, 9}, "\1")));
}

TEST_CASE("token flags: the name is the shard's name with another extension") {
  CHECK(flags_beside(kLossMask, "a.b/chats_train.bin") == "a.b/chats_train.mask");
  CHECK(flags_beside(kDocumentStarts, "my.chats_000.bin") == "my.chats_000.starts");
}

TEST_CASE("token flags: every malformed header is an error that names the file, the field and its byte") {
  CHECK(parse(file_of({20261121, 1, 2}, std::string("\0\1", 2))).count == 2);
  const auto refused = [](const std::string& bytes, const std::vector<std::string>& words) {
    for (const std::string& word : words) CHECK_THROWS_WITH(parse(bytes), contains(word));
    CHECK_THROWS_WITH(parse(bytes), contains("some.mask: "));
  };
  refused("abc", {"truncated: the header of a loss mask is 1024 bytes, got 3"});
  refused(file_of({20261123, 1, 1}, "\1"),
          {"not a loss mask: the magic number is 20261123, expected 20261121", "byte 0"});
  refused(file_of({20261121, 2, 1}, "\1"), {"loss mask version is 2, expected 1", "at byte 4"});
  refused(file_of({20261121, 1, 0}, ""), {"loss mask has 0 tokens, expected at least 1", "at byte 8"});
  refused(file_of({20261121, 1, -5}, ""), {"has -5 tokens", "at byte 8"});
  refused(file_of({20261121, 1, 1, -1}, "\1"), {"rows of -1 tokens, expected 0 or more", "at byte 12"});
  refused(file_of({20261121, 1, 3}, "\1\1"), {"file size is 1026, expected 1027 for 3 tokens"});
  refused(file_of({20261121, 1, 3}, "\1\1\1\1"), {"file size is 1028, expected 1027 for 3 tokens"});
  refused(file_of({20261121, 1, 3}, "\1\1\2"), {"the flag of token 2 is 2, expected 0 or 1", "at byte 1026"});
}

TEST_CASE("token flags: the file must have one flag for each token of its shard") {
  const TemporaryDirectory directory;
  write_flags(kLossMask, directory / "a.mask", {0, 1, 1});
  CHECK_NOTHROW(TokenFlags(kLossMask, directory / "a.mask", 3));
  CHECK_THROWS_WITH(TokenFlags(kLossMask, directory / "a.mask", 4),
                    contains("a.mask: has 3 flags, expected 4, the number of tokens of its shard"));
}

TEST_CASE("token flags: the checksum changes with every flag") {
  const TemporaryDirectory directory;
  Flags flags(100'000, 0);
  write_flags(kLossMask, directory / "a.mask", flags);
  flags[50'001] = 1;
  write_flags(kLossMask, directory / "b.mask", flags);
  CHECK(TokenFlags(kLossMask, directory / "a.mask", 100'000).checksum() !=
        TokenFlags(kLossMask, directory / "b.mask", 100'000).checksum());
}

TEST_CASE("token flags: an empty file cannot be committed, and old flags can be removed") {
  const TemporaryDirectory directory;
  CHECK_THROWS_WITH(TokenFlagsWriter(kLossMask, directory / "a.mask").commit(), contains("has 0 tokens"));
  write_flags(kLossMask, directory / "a.mask", {1});
  write_flags(kDocumentStarts, directory / "a.starts", {1});
  remove_flags_beside(directory / "a.bin");
  CHECK_FALSE(std::filesystem::exists(directory / "a.mask"));
  CHECK_FALSE(std::filesystem::exists(directory / "a.starts"));
  CHECK_NOTHROW(remove_flags_beside(directory / "a.bin"));  // nothing is left to remove
}

TEST_CASE("shards: a pattern that matches token flags, too, finds the shards only") {
  const TemporaryDirectory directory;
  for (const char* name : {"c_train.bin", "c_train.mask", "c_train.starts"})
    test::write_text(directory / name, "x");
  CHECK(find_shards(directory / "c_train*") == std::vector<std::string>{directory / "c_train.bin"});
}

}  // namespace
}  // namespace inkling
