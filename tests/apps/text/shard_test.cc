// Token shards: writing, reading, checking tokens, and malformed files.
#include "apps/text/shard.h"

#include "core/error.h"
#include "nn/file_header.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

void write_shard(const std::string& path, const Ids& ids, std::int64_t vocab_size) {
  ShardWriter writer(path, vocab_size);
  writer.append(ids);
  writer.commit();
}

std::string shard_bytes(std::int32_t magic, std::int32_t version, std::int32_t count,
                        std::size_t body_bytes) {
  Header header;
  header[0] = magic, header[1] = version, header[2] = count;
  return std::string(reinterpret_cast<const char*>(header.ints), Header::kBytes) +
         std::string(body_bytes, '\1');
}

ShardLayout parse(const std::string& bytes) {
  ByteReader in(std::as_bytes(std::span(bytes)), "some.bin");
  return parse_shard(in);
}

TEST_CASE("shard: tokens are read back, as uint16 up to a vocabulary of 65535 and as uint32 above it") {
  const TemporaryDirectory directory;
  for (std::int64_t vocab_size : {65535, 65536, 1 << 20}) {
    const bool wide = vocab_size > 65535;
    const std::string path = directory / "shard.bin";
    Ids ids;
    for (std::int32_t i = 0; i < 100'003; ++i)
      ids.push_back(static_cast<std::int32_t>((i * 7919) % vocab_size));
    {
      ShardWriter writer(path, vocab_size);
      writer.append(std::span(ids).first(1));  // tokens can be appended in pieces of any length
      writer.append(std::span(ids).subspan(1, 70'000));
      writer.append(std::span(ids).subspan(70'001));
      CHECK(writer.size() == 100'003);
      writer.commit();
    }
    const Shard shard(path);
    CHECK(shard.wide() == wide);
    REQUIRE(shard.size() == 100'003);
    CHECK(std::filesystem::file_size(path) == 1024u + 100'003u * (wide ? 4 : 2));
    Ids back(ids.size());
    shard.copy(0, shard.size(), back.data());
    CHECK(back == ids);
    CHECK(shard[99'999] == ids[99'999]);
    CHECK_NOTHROW(shard.check_tokens(vocab_size));
  }
}

TEST_CASE("shard: the error names the first token outside the vocabulary, at every place") {
  const TemporaryDirectory directory;
  for (std::int64_t vocab_size : {65535, 70'000}) {
    for (std::size_t bad : {0u, 1u, 65'535u, 65'536u, 199'999u}) {
      Ids ids(200'000, 3);
      ids[bad] = 500;
      ids.back() = 600;
      const std::string path = directory / "bad.bin";
      write_shard(path, ids, vocab_size);
      const std::string value = bad == ids.size() - 1 ? "600" : "500";
      CHECK_THROWS_WITH(
          Shard(path).check_tokens(500),
          contains(path) && contains("token " + std::to_string(bad) + " is " + value) && contains("V-1=499"));
      CHECK_NOTHROW(Shard(path).check_tokens(601));
    }
  }
}

TEST_CASE("shard: an id above 2^31 is outside every vocabulary") {
  const TemporaryDirectory directory;
  const std::string path = directory / "wide.bin";
  std::string bytes = shard_bytes(20240801, 7, 3, 12);
  bytes.replace(1024 + 4, 4, "\xff\xff\xff\xff");
  test::write_text(path, bytes);
  CHECK_THROWS_WITH(Shard(path).check_tokens(1 << 30), contains("token 1 is 4294967295"));
}

TEST_CASE("shard: a malformed file is refused, and the message says what is wrong") {
  REQUIRE(parse(shard_bytes(20240520, 1, 10, 20)).count == 10);
  REQUIRE(parse(shard_bytes(20240801, 7, 10, 40)).wide);
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 2, 10, 20)),
                    contains("version is 2, expected 1 (at byte 4)"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240801, 1, 10, 40)),
                    contains("version is 1, expected 7 (at byte 4)"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240521, 1, 10, 20)), contains("the magic number is 20240521"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 1, 0, 0)), contains("0 tokens"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 1, -3, 20)), contains("-3 tokens"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 1, 10, 19)),
                    contains("file size is 1043, expected 1044 for 10 uint16 tokens (at byte 8)"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 1, 10, 21)),
                    contains("file size is 1045, expected 1044 for 10 uint16 tokens (at byte 8)"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240801, 7, 10, 20)),
                    contains("file size is 1044, expected 1064 for 10 uint32 tokens (at byte 8)"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 1, 2'147'483'647, 20)), contains("expected 4294968318"));
  CHECK_THROWS_WITH(parse(std::string("\x01\x34\xd8\x48", 4)), contains("truncated"));
  CHECK_THROWS_WITH(parse(shard_bytes(20240520, 1, 10, 20).substr(0, 1000)), contains("truncated"));
  CHECK_THROWS_WITH(parse(""), contains("truncated"));
}

TEST_CASE("shard: without commit(), the old file is unchanged") {
  const TemporaryDirectory directory;
  const std::string path = directory / "shard.bin";
  write_shard(path, {1, 2, 3}, 10);
  const std::string before = test::read_text(path);
  {
    ShardWriter writer(path, 10);
    writer.append(Ids(100'000, 5));
  }
  CHECK(test::read_text(path) == before);
  CHECK(find_shards(directory / "*").size() == 1);
}

TEST_CASE("shard: the writer refuses ids outside its vocabulary, empty shards and missing directories") {
  const TemporaryDirectory directory;
  ShardWriter writer(directory / "shard.bin", 10);
  CHECK_THROWS_WITH(writer.append(Ids{1, 2, 10}), contains("token 2 is 10") && contains("V-1=9"));
  CHECK_THROWS_WITH(writer.append(Ids{-1}), contains("is -1"));
  ShardWriter empty(directory / "empty.bin", 10);
  CHECK_THROWS_WITH(empty.commit(), contains("0 tokens"));
  CHECK_THROWS_AS(ShardWriter(directory / "nowhere/shard.bin", 10), Error);
}

TEST_CASE("shard: the name of an existing file is not read as a pattern, whatever characters it has") {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "b[1]");
  for (const char* name : {"b[1]/my_val.bin", "a b.bin", "it's.bin", "\"q\".bin", "star*.bin", "what?.bin",
                           "-dash.bin", "\xc3\xa4\xf0\x9f\x99\x82.bin", "{x}.bin", "back\\slash.bin"}) {
    INFO(name);
    const std::string path = directory / name;
    test::write_text(path, "x");
    CHECK(find_shards(path) == std::vector<std::string>{path});
  }
  test::write_text(directory / "starfish.bin", "x");
  CHECK(find_shards(directory / "star*.bin") == std::vector<std::string>{directory / "star*.bin"});
  CHECK(find_shards(directory / "starf*.bin") == std::vector<std::string>{directory / "starfish.bin"});
}

TEST_CASE("shard: a pattern gives its files in the order of their names, and an error without a match") {
  const TemporaryDirectory directory;
  for (const char* name : {"b_2.bin", "b_1.bin", "b_10.bin", "c.bin"}) write_shard(directory / name, {1}, 2);
  const std::vector<std::string> found = find_shards(directory / "b_*.bin");
  CHECK(found ==
        std::vector<std::string>{directory / "b_1.bin", directory / "b_10.bin", directory / "b_2.bin"});
  CHECK(find_shards(directory / "c.bin") == std::vector<std::string>{directory / "c.bin"});
  write_shard(directory / "c_tokenizer.bin", {1}, 2);
  CHECK(find_shards(directory / "c*.bin") == std::vector<std::string>{directory / "c.bin"});
  CHECK_THROWS_WITH(find_shards(directory / "d*.bin"), contains("d*.bin") && contains("no file has this name"));
  CHECK_THROWS_WITH(find_shards(directory / "d.bin"), contains("no file has this name"));
}

}  // namespace
}  // namespace inkling
