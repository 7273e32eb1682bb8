// Batches of a run with several parts: llm.c's loader for several processes.
#include <numeric>
#include <set>

#include "apps/text/batches.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

constexpr std::int64_t kB = 4, kT = 4, kParts = 2;

// Two shards of 7 and 4 samples with the tokens 0, 1, ... and 1000, 1001, ...
std::vector<std::string> shards(const TemporaryDirectory& directory) {
  std::vector<std::string> paths;
  for (const auto& [first, samples] : {std::pair{0, 7}, {1000, 4}}) {
    Ids ids(static_cast<std::size_t>(samples * kB * kT + 1));
    std::iota(ids.begin(), ids.end(), first);
    ShardWriter writer(paths.emplace_back(directory / (std::to_string(first) + ".bin")), 2000);
    writer.append(ids);
    writer.commit();
  }
  return paths;
}

BatchSettings settings(std::int64_t part, bool shuffle, std::int64_t parts = kParts,
                       std::uint32_t seed = 42) {
  BatchSettings s;
  s.B = kB, s.T = kT, s.vocab_size = 2000, s.shuffle = shuffle, s.seed = seed, s.parts = parts, s.part = part;
  return s;
}

Ids next_inputs(Batches& batches, std::int64_t rows) {
  Ids inputs(static_cast<std::size_t>(rows * kT)), targets(inputs.size());
  batches.next(inputs.data(), targets.data());
  for (std::size_t i = 0; i < inputs.size(); ++i) CHECK(targets[i] == inputs[i] + 1);
  return inputs;
}

TEST_CASE("batch parts: without shuffling, the parts of a batch are its rows, in order") {
  const TemporaryDirectory directory;
  const auto paths = shards(directory);
  Batches whole(paths, settings(0, false, 1)), first(paths, settings(0, false)),
      second(paths, settings(1, false));
  CHECK(first.epoch_batches() == whole.epoch_batches());
  for (int batch = 0; batch < 25; ++batch) {
    Ids parts = next_inputs(first, kB / kParts);
    const Ids rest = next_inputs(second, kB / kParts);
    parts.insert(parts.end(), rest.begin(), rest.end());
    CHECK(parts == next_inputs(whole, kB));
  }
}

TEST_CASE("batch parts: as in llm.c, part p shuffles with seed + p and reads its rows of its own samples") {
  const TemporaryDirectory directory;
  const auto paths = shards(directory);
  for (std::int64_t part = 0; part < kParts; ++part) {
    Batches parts(paths, settings(part, true));
    Batches whole(paths, settings(0, true, 1, 42 + static_cast<std::uint32_t>(part)));
    for (int batch = 0; batch < 25; ++batch) {
      const Ids all = next_inputs(whole, kB);
      const auto begin = all.begin() + part * kB / kParts * kT;
      CHECK(next_inputs(parts, kB / kParts) == Ids(begin, begin + kB / kParts * kT));
    }
  }
}

TEST_CASE("batch parts: an epoch of all parts has each token once") {
  const TemporaryDirectory directory;
  const auto paths = shards(directory);
  Batches first(paths, settings(0, true)), second(paths, settings(1, true));
  std::set<std::int32_t> seen;
  for (std::int64_t batch = 0; batch < first.epoch_batches(); ++batch) {
    for (Batches* part : {&first, &second}) {
      for (const std::int32_t id : next_inputs(*part, kB / kParts)) CHECK(seen.insert(id).second);
    }
  }
  CHECK(std::ssize(seen) == 11 * kB * kT);
}

TEST_CASE("batch parts: going to a batch gives the same position as reading all batches before it") {
  const TemporaryDirectory directory;
  const auto paths = shards(directory);
  for (const bool shuffle : {false, true}) {
    Batches read(paths, settings(1, shuffle)), moved(paths, settings(1, shuffle));
    for (std::int64_t batches = 0; batches < 40; ++batches) {  // more than three epochs
      moved.go_to(batches);
      CHECK(moved.batches_before(moved.state()) == batches);
      const Ids want = next_inputs(read, kB / kParts);
      CHECK(next_inputs(moved, kB / kParts) == want);
    }
  }
}

TEST_CASE("batch parts: a part that does not exist, and a batch that cannot be divided, are refused") {
  const TemporaryDirectory directory;
  const auto paths = shards(directory);
  CHECK_THROWS_WITH(Batches(paths, settings(2, false)),
                    contains("part 2 of 2, expected a part of equal parts of B=4"));
  CHECK_THROWS_WITH(Batches(paths, settings(0, false, 3)), contains("part 0 of 3"));
  CHECK_THROWS_WITH(Batches(paths, settings(-1, false)), contains("part -1 of 2"));
}

}  // namespace
}  // namespace inkling
