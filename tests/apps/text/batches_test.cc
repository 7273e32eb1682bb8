// Batches: the label shift, llm.c's order, rows aligned to documents, and positions that can be saved.
#include "apps/text/batches.h"

#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/run/state_file.h"
#include "core/error.h"
#include "core/rng.h"
#include "tests/allocation_count.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;
using nlohmann::json;

constexpr std::int64_t kVocab = 50000;

std::string write_shard(const std::string& path, const Ids& ids) {
  ShardWriter writer(path, kVocab);
  writer.append(ids);
  writer.commit();
  return path;
}

// Writes a shard with the tokens first, first + 1, ... It has exactly enough tokens for `samples` samples.
std::string counting_shard(const std::string& path, std::int64_t samples, std::int64_t BT,
                           std::int32_t first = 0) {
  Ids ids;
  for (std::int64_t i = 0; i < samples * BT + 1; ++i)
    ids.push_back(static_cast<std::int32_t>((first + i) % kVocab));
  return write_shard(path, ids);
}

struct Batch {
  Ids inputs, targets;
  explicit Batch(std::int64_t BT)
      : inputs(static_cast<std::size_t>(BT), -7), targets(static_cast<std::size_t>(BT), -7) {}
  bool operator==(const Batch&) const = default;
};

Batch next(Batches& batches, std::int64_t BT) {
  Batch batch(BT);
  batches.next(batch.inputs.data(), batch.targets.data());
  return batch;
}

BatchSettings settings(std::int64_t B, std::int64_t T, bool shuffle = false) {
  BatchSettings s;
  s.B = B, s.T = T, s.vocab_size = kVocab, s.shuffle = shuffle;
  return s;
}

json shuffle_vectors() {
  return json::parse(std::ifstream("tests/goldens/shuffle_vectors.json"));
}

// Calls next() and returns the sample that it read: {shard, sample}.
std::pair<std::int64_t, std::int64_t> next_sample(Batches& batches, std::int64_t BT) {
  next(batches, BT);
  return {batches.rows()[0].shard, batches.rows()[0].first / BT};
}

TEST_CASE("batches: without shuffling, rows follow each other, and a target is the token after its input") {
  const TemporaryDirectory directory;
  Batches batches(
      {counting_shard(directory / "a.bin", 3, 8), counting_shard(directory / "b.bin", 2, 8, 1000)},
      settings(2, 4));
  CHECK(batches.epoch_batches() == 5);
  CHECK(batches.tokens() == 25 + 17);
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (std::int32_t first : {0, 8, 16, 1000, 1008}) {
      const Batch batch = next(batches, 8);
      for (std::int32_t i = 0; i < 8; ++i) {
        CHECK(batch.inputs[static_cast<std::size_t>(i)] == first + i);
        CHECK(batch.targets[static_cast<std::size_t>(i)] == first + i + 1);
      }
      CHECK(batches.epoch() == epoch);
    }
  }
}

TEST_CASE("batches: rows() and place() give the place where the last batch was read") {
  const TemporaryDirectory directory;
  const std::string a = counting_shard(directory / "a.bin", 3, 8),
                    b = counting_shard(directory / "b.bin", 2, 8, 1000);
  Batches batches({a, b}, settings(2, 4));
  CHECK(batches.rows().empty());
  for (int i = 0; i < 5; ++i) next(batches, 8);
  REQUIRE(batches.rows().size() == 2);
  CHECK(batches.rows()[0].shard == 1);
  CHECK(batches.rows()[0].first == 8);
  CHECK(batches.rows()[1].first == 12);
  CHECK(batches.describe(batches.place()) == b + ": tokens 8 .. 16 (epoch 0)");
}

TEST_CASE("batches: tokens that do not fill a last sample are left out, and B*T+1 tokens are enough") {
  const TemporaryDirectory directory;
  Ids ids(8 * 2 + 1 + 7);
  Batches batches({write_shard(directory / "a.bin", ids)}, settings(2, 4));
  CHECK(batches.epoch_batches() == 2);
  ids.resize(9);
  CHECK(Batches({write_shard(directory / "b.bin", ids)}, settings(2, 4)).epoch_batches() == 1);
  ids.resize(8);
  const std::string path = write_shard(directory / "c.bin", ids);
  CHECK_THROWS_WITH(Batches({path}, settings(2, 4)),
                    contains(path) && contains("has 8 tokens") && contains("B*T+1=9"));
}

TEST_CASE("batches: with shuffling, samples come in llm.c's order for every seed") {
  const TemporaryDirectory directory;
  int tried = 0;
  const json vectors = shuffle_vectors();
  for (const json& vector : vectors["permutations"]) {
    const std::vector<std::int64_t> order = vector["order"];
    BatchSettings s = settings(1, 2, true);
    s.seed = vector["seed"];
    Batches batches({counting_shard(directory / "a.bin", std::ssize(order), 2)}, s);
    for (std::int64_t sample : order) REQUIRE(next_sample(batches, 2).second == sample);
    ++tried;
  }
  CHECK(tried >= 5);
}

TEST_CASE("batches: two epochs of tiny_shakespeare's 1192 samples begin with the same samples as llm.c") {
  const TemporaryDirectory directory;
  Batches batches({counting_shard(directory / "a.bin", 1192, 4 * 64)}, settings(4, 64, true));
  const std::vector<std::vector<std::int64_t>> starts = shuffle_vectors()["one_shard"][0]["epoch_starts"];
  REQUIRE(starts[0] == std::vector<std::int64_t>{408, 791, 914, 1057, 81, 450, 299, 907});
  for (const auto& epoch : starts) {
    std::set<std::int64_t> seen;
    for (std::size_t i = 0; i < 1192; ++i) {
      const std::int64_t sample = next_sample(batches, 256).second;
      seen.insert(sample);
      if (i < epoch.size()) CHECK(sample == epoch[i]);
    }
    CHECK(seen.size() == 1192);  // every sample once in an epoch
  }
}

TEST_CASE("batches: several shards are shuffled in llm.c's order, over several epochs") {
  const TemporaryDirectory directory;
  const json vectors = shuffle_vectors();
  for (const json& vector : vectors["shards"]) {
    std::vector<std::string> paths;
    for (std::int64_t samples : vector["nsamples"]) {
      paths.push_back(counting_shard(directory / (std::to_string(paths.size()) + ".bin"), samples, 6));
    }
    BatchSettings s = settings(2, 3, true);
    s.seed = vector["seed"];
    Batches batches(paths, s);
    std::int64_t expected_epoch = 0;
    REQUIRE(vector["epochs"].size() >= 2);
    for (const json& epoch : vector["epochs"]) {
      for (const json& shard : epoch) {
        for (std::int64_t sample : shard["samples"]) {
          CHECK(next_sample(batches, 6) == std::pair(shard["shard"].get<std::int64_t>(), sample));
          CHECK(batches.epoch() == expected_epoch);
        }
      }
      ++expected_epoch;
    }
  }
}

TEST_CASE(
    "batches: a position remembers its shards as they were opened, so a shard that changes meanwhile is "
    "refused") {
  const TemporaryDirectory directory;
  const std::string path = counting_shard(directory / "a.bin", 7, 6);
  Batches batches({path}, settings(2, 3));
  std::string bytes = test::read_text(path);
  bytes[1024] = 9;
  std::ofstream(path, std::ios::in) << bytes;  // the same file, not a new file with its name
  REQUIRE(next(batches, 6).inputs[0] == 9);
  const BatchPosition position = batches.state();
  Batches again({path}, settings(2, 3));
  CHECK_THROWS_WITH(again.set_state(position), contains("a.bin: the contents differ from a.bin"));
}

TEST_CASE("batches: a change in any one of several shards is found, and the error names this shard") {
  const TemporaryDirectory directory;
  std::vector<std::string> paths;
  for (const char* name : {"a.bin", "b.bin", "c.bin"})
    paths.push_back(counting_shard(directory / name, 4, 6));
  const BatchPosition position = Batches(paths, settings(2, 3)).state();
  CHECK_NOTHROW(Batches(paths, settings(2, 3)).set_state(position));
  for (const std::string& path : paths) {
    counting_shard(path, 4, 6, 1);
    CHECK_THROWS_WITH(Batches(paths, settings(2, 3)).set_state(position),
                      contains(path + ": the contents differ"));
    counting_shard(path, 4, 6);
  }
}

TEST_CASE("batches: after restoring any position of three epochs, the same batches follow") {
  const TemporaryDirectory directory;
  const std::vector<std::string> paths = {counting_shard(directory / "a.bin", 7, 6),
                                          counting_shard(directory / "b.bin", 1, 6, 500),
                                          counting_shard(directory / "c.bin", 4, 6, 900)};
  for (bool shuffle : {false, true}) {
    Batches whole(paths, settings(2, 3, shuffle));
    std::vector<Batch> all;
    std::vector<json> places;
    for (int i = 0; i < 36; ++i) {
      places.push_back(state_to_json(whole.state()));
      all.push_back(next(whole, 6));
    }
    for (std::size_t place = 0; place < places.size(); ++place) {
      Batches resumed(paths, settings(2, 3, shuffle));
      resumed.set_state(state_from_json(json::parse(places[place].dump()), "state.json"));
      for (std::size_t i = place; i < all.size(); ++i) REQUIRE(next(resumed, 6) == all[i]);
    }
    whole.rewind();
    for (const Batch& batch : all) REQUIRE(next(whole, 6) == batch);
  }
}

TEST_CASE("batches: a position of other data or settings, or an impossible position, is refused") {
  const TemporaryDirectory directory;
  const std::string path = counting_shard(directory / "a.bin", 7, 6);
  Batches batches({path}, settings(2, 3, true));
  const BatchPosition good = batches.state();
  const auto refuses = [&](auto change, const std::string& because) {
    BatchPosition position = good;
    change(position);
    CHECK_THROWS_WITH(batches.set_state(position), contains(because));
  };
  refuses([](auto& p) { p.B = 3; }, "B is 3, expected 2");
  refuses([](auto& p) { p.T = 4; }, "T is 4, expected 3");
  refuses([](auto& p) { p.seed = 7; }, "seed is 7, expected 42");
  refuses([](auto& p) { p.shuffle = false; }, "shuffle");
  refuses([](auto& p) { p.align_documents = true; }, "align_documents");
  refuses([](auto& p) { p.tokens += 1; }, "the number of tokens is 44, expected 43");
  refuses([](auto& p) { p.shard_order = {0, 1}; }, "the number of shards is 2, expected 1");
  refuses([](auto& p) { p.shard_order = {1}; }, "permutation");
  refuses([](auto& p) { p.shard = 1; }, "shard 1");
  refuses([](auto& p) { p.sample = 8; }, "sample 8");
  refuses([](auto& p) { p.sample = -1; }, "sample -1");
  refuses([](auto& p) { p.draws = std::uint64_t{1} << 60; }, "random numbers");
  refuses([](auto& p) { p.draws += 1; },
          "1 random numbers, expected 0");  // the order of one shard needs no random number
  refuses([](auto& p) { p.epoch = -1; }, "epoch -1");
  refuses([](auto& p) { p.epoch = 100'000'000'000'000'000, p.draws = 1'000'000'000'000'000'000; },
          "epoch 1000");
  refuses([](auto& p) { p.epoch = std::numeric_limits<std::int64_t>::max(); }, "epoch 9223372036854775807");
  // An epoch has 7 batches, and a run at most 2^36.
  refuses([](auto& p) { p.epoch = 9'817'068'106; }, "epoch 9817068106, expected 0 .. 9817068105");
  CHECK_NOTHROW(batches.set_state(good));
}

TEST_CASE("batches: batches_before() counts the batches before a position and checks its random numbers") {
  const TemporaryDirectory directory;
  const std::vector<std::string> paths = {counting_shard(directory / "a.bin", 7, 6),
                                          counting_shard(directory / "b.bin", 1, 6, 500),
                                          counting_shard(directory / "c.bin", 4, 6, 900)};
  for (bool shuffle : {false, true}) {
    Batches batches(paths, settings(2, 3, shuffle));
    for (std::int64_t taken = 0; taken < 40; ++taken) {
      BatchPosition position = batches.state();
      CHECK(batches.batches_before(position) == taken);
      position.draws += 1;
      CHECK_THROWS_WITH(batches.batches_before(position), contains("random numbers, expected"));
      next(batches, 6);
    }
  }
}

TEST_CASE("batches: aligned rows begin with their document, if it begins less than T tokens back") {
  constexpr std::int64_t kB = 3, kT = 16;
  constexpr std::int32_t kEndOfText = 49999;
  const TemporaryDirectory directory;
  Rng rng(5);
  Ids ids;
  while (ids.size() < 4000) {  // documents of 1 to 40 tokens, some shorter and some longer than T
    ids.push_back(kEndOfText);
    for (auto n = rng.below(40); n > 0; --n) ids.push_back(static_cast<std::int32_t>(rng.below(1000)));
  }
  const std::string path = write_shard(directory / "a.bin", ids);
  BatchSettings s = settings(kB, kT, true);
  s.align_documents = true;
  s.end_of_text = kEndOfText;
  Batches batches({path}, s);
  Batches natural({path}, settings(kB, kT, true));
  std::set<std::int64_t> starts;
  for (std::int64_t i = 0; i < batches.epoch_batches(); ++i) {
    const Batch batch = next(batches, kB * kT);
    next(natural, kB * kT);
    for (std::int64_t b = 0; b < kB; ++b) {
      const std::int64_t first = batches.rows()[static_cast<std::size_t>(b)].first;
      const std::int64_t natural_first = natural.rows()[static_cast<std::size_t>(b)].first;
      // The definition: the last end-of-text token that is less than T tokens before the normal start.
      std::int64_t expected = natural_first;
      for (std::int64_t back = kT - 1; back >= 0; --back) {
        const std::int64_t at = natural_first - back;
        if (at >= 0 && ids[static_cast<std::size_t>(at)] == kEndOfText) expected = at;
      }
      REQUIRE(first == expected);
      REQUIRE(starts.insert(first).second);
      for (std::int64_t t = 0; t < kT; ++t) {
        REQUIRE(batch.inputs[static_cast<std::size_t>(b * kT + t)] ==
                ids[static_cast<std::size_t>(first + t)]);
        REQUIRE(batch.targets[static_cast<std::size_t>(b * kT + t)] ==
                ids[static_cast<std::size_t>(first + t + 1)]);
      }
    }
  }
  CHECK(std::ssize(starts) == batches.epoch_batches() * kB);
}

TEST_CASE("batches: a shard with a token outside the vocabulary is refused before its first use") {
  const TemporaryDirectory directory;
  const std::string good = counting_shard(directory / "a.bin", 2, 4);
  Ids ids(9, 3);
  ids[6] = 77;
  const std::string bad = write_shard(directory / "b.bin", ids);
  BatchSettings s = settings(2, 2);
  s.vocab_size = 77;
  CHECK_THROWS_WITH(Batches({bad}, s), contains(bad) && contains("token 6 is 77"));
  Batches batches({good, bad}, s);
  next(batches, 4);
  next(batches, 4);
  CHECK_THROWS_WITH(next(batches, 4), contains(bad) && contains("token 6 is 77"));
}

TEST_CASE("batches: next() allocates no memory, over several epochs and shards") {
  const TemporaryDirectory directory;
  Batches batches({counting_shard(directory / "a.bin", 30, 6), counting_shard(directory / "b.bin", 50, 6)},
                  settings(2, 3, true));
  Batch batch(6);
  for (int i = 0; i < 80; ++i)
    batches.next(batch.inputs.data(), batch.targets.data());  // a shard is checked at its first use
  const std::int64_t before = test::allocations();
  for (int i = 0; i < 200; ++i) batches.next(batch.inputs.data(), batch.targets.data());
  CHECK(test::allocations() == before);
}

TEST_CASE("batches: impossible settings are refused") {
  const TemporaryDirectory directory;
  const std::string path = counting_shard(directory / "a.bin", 2, 4);
  CHECK_THROWS_WITH(Batches({path}, settings(0, 4)), contains("B=0"));
  CHECK_THROWS_WITH(Batches({path}, settings(2, -1)), contains("T=-1"));
  CHECK_THROWS_WITH(Batches({path}, settings(std::int64_t{1} << 40, std::int64_t{1} << 40)),
                    contains("expected 1 .."));
  CHECK_THROWS_WITH(Batches({path}, settings(std::int64_t{1} << 31, std::int64_t{1} << 31)),
                    contains("has 9 tokens"));
  CHECK_THROWS_WITH(Batches({}, settings(1, 1)), contains("no shards"));
  BatchSettings s = settings(2, 2);
  s.align_documents = true;
  CHECK_THROWS_WITH(Batches({path}, s), contains("end-of-text"));
}

TEST_CASE("batches: a seed of 32 bits is used unchanged, and every bit of a longer seed has an effect") {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{42}, std::uint64_t{0xffffffff}})
    CHECK(shuffle_seed(seed) == seed);
  std::set<std::uint32_t> seeds;
  for (int bit = 0; bit < 64; ++bit) seeds.insert(shuffle_seed(42 ^ (std::uint64_t{1} << bit)));
  CHECK(seeds.size() == 64);
  CHECK_FALSE(seeds.contains(42));
}

}  // namespace
}  // namespace inkling
