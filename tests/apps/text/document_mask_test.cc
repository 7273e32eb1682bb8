// Where documents begin, and the positions of tokens in their documents, in Batches and Windows.
#include "apps/text/batches.h"
#include "apps/text/windows.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;
using Flags = std::vector<std::uint8_t>;

constexpr std::int64_t kVocab = 100;
constexpr std::int32_t kEnd = 0;

std::string write_shard(const std::string& path, const Ids& ids) {
  ShardWriter shard(path, kVocab);
  shard.append(ids);
  shard.commit();
  return path;
}

void write_starts(const std::string& shard, const Flags& starts, std::int64_t row_tokens) {
  TokenFlagsWriter flags(kDocumentStarts, flags_beside(kDocumentStarts, shard), row_tokens);
  flags.append(starts);
  flags.commit();
}

// The positions of the next batch.
Ids next_positions(Batches& batches, std::int64_t BT) {
  Ids inputs(static_cast<std::size_t>(BT)), targets(inputs.size()), positions(inputs.size(), -7);
  batches.next(inputs.data(), targets.data(), positions.data());
  return positions;
}

TEST_CASE(
    "document mask: without document starts, a document begins at each end-of-text, and at each row's "
    "start") {
  const TemporaryDirectory directory;
  const std::string path = write_shard(directory / "a.bin", {0, 5, 6, 0, 7, 8, 9, 9, 0, 0, 3, 4, 4});
  BatchSettings settings{.B = 2, .T = 6, .vocab_size = kVocab, .document_mask = true, .end_of_text = kEnd};
  Batches batches({path}, settings);
  CHECK(next_positions(batches, 12) == Ids{0, 1, 2, 0, 1, 2, 0, 1, 0, 0, 1, 2});
  settings.document_mask = false;
  Batches plain({path}, settings);
  CHECK(next_positions(plain, 12) == Ids(12, -7));  // they are not written
  settings.document_mask = true, settings.end_of_text = -1;
  CHECK_THROWS_WITH(Batches({path}, settings), contains("expected the id of the end-of-text token, got -1"));
}

TEST_CASE("document mask: document starts decide where documents begin, not end-of-text") {
  const TemporaryDirectory directory;
  const std::string path = write_shard(directory / "a.bin", {0, 5, 6, 0, 7, 8, 0, 9, 9});
  write_starts(path, {1, 0, 0, 0, 0, 0, 1, 0, 0}, 4);
  Batches batches({path}, {.B = 2, .T = 4, .vocab_size = kVocab, .document_mask = true});
  CHECK(next_positions(batches, 8) == Ids{0, 1, 2, 3, 0, 1, 0, 1});
}

TEST_CASE("document mask: packed rows need the T that they were packed for") {
  const TemporaryDirectory directory;
  const std::string path = write_shard(directory / "a.bin", Ids(9, 1));
  write_starts(path, Flags(9, 1), 4);
  CHECK_NOTHROW(Batches({path}, {.B = 1, .T = 4, .vocab_size = kVocab}));
  CHECK_THROWS_WITH(Batches({path}, {.B = 1, .T = 3, .vocab_size = kVocab}),
                    contains("a.bin: its conversations are packed in rows of 4 tokens, got --seq-len 3, "
                             "expected --seq-len 4"));
  CHECK_THROWS_WITH(Windows({path}, 1, 8, kVocab), contains("packed in rows of 4 tokens, got --seq-len 8"));
}

TEST_CASE("document mask: the marks of several shards are found, and must agree") {
  const TemporaryDirectory directory;
  const std::string a = write_shard(directory / "a.bin", Ids(9, 1)),
                    b = write_shard(directory / "b.bin", Ids(9, 1)),
                    c = write_shard(directory / "c.bin", Ids(9, 1));
  const auto marks = [](const std::vector<std::string>& shards) { return find_document_marks(shards); };
  CHECK_FALSE(marks({a, b}).starts);
  CHECK(marks({a, b}).row_tokens == 0);
  write_starts(b, Flags(9, 1), 4);
  CHECK(marks({a, b}).starts);
  CHECK(marks({a, b}).row_tokens == 4);
  write_starts(c, Flags(9, 1), 8);
  CHECK_THROWS_WITH(marks({a, b, c}),
                    contains("c.starts: the shard is packed in rows of 8 tokens, expected 4"));
}

TEST_CASE("document mask: windows give the positions of their tokens, and may end with their documents") {
  const TemporaryDirectory directory;
  const std::string path = write_shard(directory / "a.bin", {0, 5, 6, 0, 7, 8, 0, 9, 9, 9});
  write_starts(path, {1, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 4);
  Windows rows({path}, 3, 4, kVocab);
  Ids inputs(12), targets(12), positions(12, -7);
  REQUIRE(rows.next(inputs.data(), targets.data(), positions.data()));
  CHECK(inputs == Ids{0, 5, 6, 0, 7, 8, 0, 9, 9, 0, 0, 0});
  CHECK(positions == Ids{0, 1, 2, 3, 0, 1, 0, 1, 0, 0, 0, 0});
  Windows documents({path}, 4, 4, kVocab, kEnd);
  REQUIRE(documents.batch_size() == 3);
  REQUIRE(documents.next(inputs.data(), targets.data(), positions.data()));
  CHECK(inputs == Ids{0, 5, 6, 0, 7, 8, 0, 0, 0, 9, 9, 0});
  CHECK(positions == Ids{0, 1, 2, 3, 0, 1, 0, 0, 0, 1, 2, 0});
  CHECK_FALSE(documents.next(inputs.data(), targets.data(), positions.data()));
}

}  // namespace
}  // namespace inkling
