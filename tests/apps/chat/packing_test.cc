// Packing of conversations into rows: nothing is cut or lost, and Batches reads whole conversations back.
#include "apps/chat/packing.h"

#include <numeric>
#include <set>

#include "apps/text/batches.h"
#include "core/error.h"
#include "core/rng.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;
using Lengths = std::vector<std::int64_t>;
using Rows = std::vector<std::vector<std::size_t>>;

constexpr std::int64_t kVocab = 1000;
constexpr std::int32_t kEnd = 999;

TEST_CASE("packing: from the longest to the shortest, each length goes into the row with the least room") {
  CHECK(pack_best_fit(Lengths{}, 10).empty());
  CHECK(pack_best_fit(Lengths{10, 10}, 10) == Rows{{0}, {1}});
  // 7 and 6 open rows with 3 and 4 left. 3 fits both and goes to the first. 4 fits the other.
  CHECK(pack_best_fit(Lengths{3, 6, 7, 4}, 10) == Rows{{0, 2}, {1, 3}});
  CHECK(pack_best_fit(Lengths{1, 1, 1, 1, 1}, 2) == Rows{{0, 1}, {2, 3}, {4}});
  CHECK_THROWS_WITH(pack_best_fit(Lengths{3, 11}, 10), contains("length 1 is 11, expected 1 .. 10"));
  CHECK_THROWS_WITH(pack_best_fit(Lengths{0}, 10), contains("length 0 is 0"));
}

TEST_CASE("packing: every length is in one row, no row is too full, and no two half-empty rows are left") {
  Rng rng(4);
  for (int round = 0; round < 50; ++round) {
    const auto room = static_cast<std::int64_t>(2 + rng.below(60));
    Lengths lengths;
    for (auto n = rng.below(200); n > 0; --n)
      lengths.push_back(1 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(room))));
    const Rows rows = pack_best_fit(lengths, room);
    CHECK(rows == pack_best_fit(lengths, room));
    std::set<std::size_t> seen;
    int half_empty = 0;
    for (const auto& row : rows) {
      std::int64_t sum = 0;
      for (const std::size_t i : row) {
        sum += lengths[i];
        CHECK(seen.insert(i).second);
      }
      CHECK(sum <= room);
      half_empty += 2 * sum <= room;
    }
    CHECK(seen.size() == lengths.size());
    CHECK(half_empty <= 1);
  }
}

// A conversation of n tokens: end-of-text, then first, first + 1, ..., then end-of-text. Every second number
// counts.
ChatTokens make_conversation(std::int32_t first, std::int64_t n) {
  ChatTokens tokens{{kEnd}, {0}};
  for (std::int32_t i = 0; i < n - 2; ++i) {
    tokens.ids.push_back((first + i) % kEnd);
    tokens.counted.push_back(i % 2 == 1);
  }
  tokens.ids.push_back(kEnd);
  tokens.counted.push_back(1);
  return tokens;
}

struct Packed {
  Ids tokens;
  std::vector<int> mask, starts;
};

Packed read_packed(const std::string& path) {
  Packed packed;
  const Shard shard(path);
  const TokenFlags mask(kLossMask, flags_beside(kLossMask, path), shard.size()),
      starts(kDocumentStarts, flags_beside(kDocumentStarts, path), shard.size());
  for (std::int64_t i = 0; i < shard.size(); ++i) {
    packed.tokens.push_back(shard[i]);
    packed.mask.push_back(mask[i]);
    packed.starts.push_back(starts[i]);
  }
  return packed;
}

TEST_CASE("packing: rows share their last token, and unused ends are end-of-text that does not count") {
  const TemporaryDirectory directory;
  PackedShardWriter writer(directory / "a.bin", kVocab, kEnd, 6);
  writer.add({{kEnd, 1, 2, kEnd}, {0, 0, 1, 1}});
  writer.add({{kEnd, 3, 4, 5, 6, 7, kEnd}, {0, 0, 0, 0, 0, 1, 1}});  // fills a row of T+1 = 7
  writer.add({{kEnd, 8, kEnd}, {0, 1, 1}});
  writer.add({{kEnd, 9, kEnd}, {0, 1, 1}});
  CHECK_FALSE(std::filesystem::exists(directory / "a.bin"));
  writer.commit();
  const Packed packed = read_packed(directory / "a.bin");
  const std::int32_t e = kEnd;
  CHECK(packed.tokens == Ids{e, 1, 2, e, e, 8, e, 3, 4, 5, 6, 7, e, 9, e, e, e, e, e});
  CHECK(packed.mask == std::vector<int>{0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0});
  CHECK(packed.starts == std::vector<int>{1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1});
  CHECK(writer.rows() == 3);
  CHECK(writer.tokens() == 3 * 6 + 1);
  CHECK(writer.counted_tokens() == 8);
}

TEST_CASE("packing: Batches reads every conversation back whole, with its targets and positions") {
  constexpr std::int64_t kT = 24;
  for (const std::int64_t group_tokens : {1, 200, 1'000'000}) {
    const TemporaryDirectory directory;
    const std::string path = directory / "a.bin";
    PackedShardWriter writer(path, kVocab, kEnd, kT, group_tokens);
    std::multiset<Ids> added, read;
    Rng rng(5);
    std::int64_t counted = 0, counted_targets = 0;
    for (int i = 0; i < 100; ++i) {
      const ChatTokens chat = make_conversation(7 * i, 2 + static_cast<std::int64_t>(rng.below(kT)));
      counted += std::count(chat.counted.begin(), chat.counted.end(), 1);
      // What a model sees of the conversation: the inputs, and the targets that count.
      Ids pairs;
      for (std::size_t t = 0; t + 1 < chat.ids.size(); ++t) {
        pairs.push_back(chat.ids[t]);
        pairs.push_back(chat.counted[t + 1] != 0 ? chat.ids[t + 1] : -1);
      }
      added.insert(pairs);
      writer.add(chat);
    }
    writer.commit();
    Batches batches({path}, {.B = 1, .T = kT, .vocab_size = kVocab, .document_mask = true});
    REQUIRE(batches.epoch_batches() == writer.rows());
    for (std::int64_t row = 0; row < writer.rows(); ++row) {
      Ids inputs(kT), targets(kT), positions(kT), pairs;
      batches.next(inputs.data(), targets.data(), positions.data());
      CHECK(inputs[0] == kEnd);
      bool any = false;
      for (std::size_t t = 0; t < kT; ++t) {
        pairs.insert(pairs.end(), {inputs[t], targets[t]});
        any = any || targets[t] >= 0;
        counted_targets += targets[t] >= 0;
        if (t + 1 < kT && positions[t + 1] != 0) continue;
        // The document ends here. If it has a counted target, it is a conversation, not filling. The last
        // token of a conversation is an input only if another document follows in the row.
        if (any && inputs[t] == kEnd && targets[t] == -1) pairs.resize(pairs.size() - 2);
        if (any) read.insert(pairs);
        pairs.clear(), any = false;
      }
    }
    CHECK(counted_targets == counted);
    CHECK(writer.counted_tokens() == counted);
    CHECK(read == added);
  }
}

TEST_CASE("packing: the same conversations give the same bytes") {
  const TemporaryDirectory directory;
  for (const char* name : {"a", "b"}) {
    PackedShardWriter writer(directory / (std::string(name) + ".bin"), kVocab, kEnd, 30);
    for (int i = 0; i < 50; ++i) writer.add(make_conversation(i, 2 + i * 7 % 29));
    writer.commit();
  }
  for (const char* extension : {".bin", ".mask", ".starts"})
    CHECK((test::read_text(directory / (std::string("a") + extension)) ==
           test::read_text(directory / (std::string("b") + extension))));
}

TEST_CASE("packing: a conversation that is too long or has no end-of-text around it is an error") {
  const TemporaryDirectory directory;
  PackedShardWriter writer(directory / "a.bin", kVocab, kEnd, 6);
  CHECK_NOTHROW(writer.add(make_conversation(1, 7)));
  CHECK_THROWS_WITH(writer.add(make_conversation(1, 8)), contains("has 8 tokens, expected 2 .. T+1=7"));
  CHECK_THROWS_WITH(writer.add({{kEnd, 5}, {0, 1}}), contains("begins with token 999 and ends with 5"));
  CHECK_THROWS_WITH(PackedShardWriter(directory / "b.bin", kVocab, kEnd, 6).commit(),
                    contains("there is no conversation to write"));
}

}  // namespace
}  // namespace inkling
