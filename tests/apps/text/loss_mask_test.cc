// Loss masks in Batches and Windows: a target whose token does not count is -1.
#include <numeric>

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

// Writes a shard with the tokens first, first + 1, ..., one for each flag, and its loss mask.
std::string masked_shard(const std::string& path, const Flags& mask, std::int32_t first = 0) {
  Ids ids(mask.size());
  std::iota(ids.begin(), ids.end(), first);
  ShardWriter shard(path, kVocab);
  shard.append(ids);
  shard.commit();
  TokenFlagsWriter flags(kLossMask, flags_beside(kLossMask, path));
  flags.append(mask);
  flags.commit();
  return path;
}

Ids next_targets(Batches& batches, std::int64_t BT) {
  Ids inputs(static_cast<std::size_t>(BT)), targets(static_cast<std::size_t>(BT));
  batches.next(inputs.data(), targets.data());
  return targets;
}

TEST_CASE("loss mask: the mask of a token decides whether the token counts as a target") {
  const TemporaryDirectory directory;
  const std::string path = masked_shard(directory / "a.bin", {1, 0, 1, 1, 0, 0, 1, 0, 1});
  Batches batches({path}, {.B = 2, .T = 2, .vocab_size = kVocab});
  // The flag of token 0 has no effect: no token predicts it. The inputs are never masked.
  Ids inputs(4), targets(4);
  batches.next(inputs.data(), targets.data());
  CHECK(inputs == Ids{0, 1, 2, 3});
  CHECK(targets == Ids{-1, 2, 3, -1});
  CHECK(next_targets(batches, 4) == Ids{-1, 6, -1, 8});
  Batches all({path}, {.B = 2, .T = 2, .vocab_size = kVocab, .loss_mask = LossMask::ignore});
  CHECK(next_targets(all, 4) == Ids{1, 2, 3, 4});
}

TEST_CASE("loss mask: a shard without a mask counts every token, beside a shard that has one") {
  const TemporaryDirectory directory;
  const std::string a = masked_shard(directory / "a.bin", {0, 0, 1}),
                    b = masked_shard(directory / "b.bin", {0, 0, 0}, 10);
  std::filesystem::remove(directory / "b.mask");
  Batches batches({a, b}, {.B = 1, .T = 2, .vocab_size = kVocab});
  CHECK(next_targets(batches, 2) == Ids{-1, 2});
  CHECK(next_targets(batches, 2) == Ids{11, 12});
}

TEST_CASE("loss mask: windows count each counted token exactly once") {
  const TemporaryDirectory directory;
  const Flags mask = {1, 0, 1, 1, 0, 0, 1, 0, 1};
  const std::string path = masked_shard(directory / "a.bin", mask);
  for (const std::int64_t B : {1, 2, 5}) {
    for (const std::int64_t T : {1, 2, 3, 20}) {
      Windows windows({path}, B, T, kVocab);
      CHECK(windows.targets() == 4);  // tokens 2, 3, 6 and 8
      Ids inputs(static_cast<std::size_t>(windows.batch_size() * T)), targets(inputs.size()), counted;
      while (windows.next(inputs.data(), targets.data()))
        std::copy_if(targets.begin(), targets.end(), std::back_inserter(counted),
                     [](int t) { return t >= 0; });
      CHECK(counted == Ids{2, 3, 6, 8});
    }
  }
  CHECK(Windows({path}, 2, 3, kVocab, -1, LossMask::ignore).targets() == 8);
}

TEST_CASE("loss mask: data without any counted target is refused") {
  const TemporaryDirectory directory;
  const BatchSettings settings{.B = 1, .T = 2, .vocab_size = kVocab};
  // Only tokens that no batch has as a target count: the first token, and tokens after the last batch.
  const std::string path = masked_shard(directory / "a.bin", {1, 0, 0, 0, 0, 1});
  CHECK_THROWS_WITH(Batches({path}, settings), contains("a.bin: no token counts as a target") &&
                                                   contains("a.mask") && contains("--no-loss-mask"));
  CHECK_NOTHROW(Windows({path}, 1, 2, kVocab));  // windows have all tokens except the first as targets
  CHECK_THROWS_WITH(Windows({masked_shard(directory / "b.bin", {1, 0, 0})}, 1, 2, kVocab),
                    contains("b.bin: no token counts as a target"));
  CHECK_NOTHROW(Batches({path, masked_shard(directory / "c.bin", {0, 1, 0})}, settings));
  CHECK_NOTHROW(Batches({path}, {.B = 1, .T = 2, .vocab_size = kVocab, .loss_mask = LossMask::ignore}));
}

TEST_CASE("loss mask: a saved position is refused if a mask has changed, appeared or gone") {
  const TemporaryDirectory directory;
  const std::string path = masked_shard(directory / "a.bin", {0, 1, 0, 1, 1});
  const BatchSettings settings{.B = 1, .T = 2, .vocab_size = kVocab};
  const BatchPosition with_mask = Batches({path}, settings).state();
  CHECK_NOTHROW(Batches({path}, settings).set_state(with_mask));
  masked_shard(path, {0, 1, 1, 1, 1});
  CHECK_THROWS_WITH(Batches({path}, settings).set_state(with_mask),
                    contains("a.mask: the loss mask is not the same as when the run started"));
  std::filesystem::remove(directory / "a.mask");
  CHECK_THROWS_WITH(Batches({path}, settings).set_state(with_mask),
                    contains("a.mask: there is no loss mask beside the shard"));
  const BatchPosition without = Batches({path}, settings).state();
  masked_shard(path, {0, 1, 0, 1, 1});
  CHECK_THROWS_WITH(Batches({path}, settings).set_state(without),
                    contains("a.mask: there is a loss mask beside the shard, expected none"));
  // A run that ignores masks does not care whether there is one.
  BatchSettings ignoring = settings;
  ignoring.loss_mask = LossMask::ignore;
  CHECK_NOTHROW(Batches({path}, ignoring).set_state(without));
}

TEST_CASE("loss mask: a sample continues the document of the first counted target") {
  const TemporaryDirectory directory;
  // Documents begin at tokens 0 and 3, where end-of-text is 3. The first target that counts is token 6.
  const DataShard shard(masked_shard(directory / "a.bin", {1, 0, 0, 0, 0, 0, 1, 1}), LossMask::use);
  CHECK(sample_prompt(shard, 3, 10) == Ids{3, 4, 5});
  CHECK(sample_prompt(shard, 3, 3) == Ids{3, 4, 5});
  CHECK(sample_prompt(shard, 3, 2) == Ids{3});  // too long
  CHECK(sample_prompt(shard, 99, 10) == Ids{0, 1, 2, 3, 4, 5});
  CHECK(sample_prompt(DataShard(shard.path(), LossMask::ignore), 3, 10) == Ids{3});
  CHECK(sample_prompt(DataShard(masked_shard(directory / "b.bin", {1, 0, 0}), LossMask::use), 9, 10) == Ids{9});
}

}  // namespace
}  // namespace inkling
