#include "apps/run/state_file.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/run/strict_json.h"
#include "apps/text/batches.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

// A real run knows how many batches it has taken and accepts only this position. This target accepts every
// position up to this number of batches.
constexpr std::int64_t kMostBatchesTaken = 100'000;

std::string shard_of(const std::string& name, std::int32_t tokens) {
  constexpr std::int64_t kVocabSize = 300;
  std::string path = scratch(name);
  ShardWriter writer(path, kVocabSize);
  for (std::int32_t i = 0; i < tokens; ++i) {
    const auto token = static_cast<std::int32_t>(i * 7 % kVocabSize);
    writer.append(std::span(&token, 1));
  }
  writer.commit();
  return path;
}

}  // namespace

void state(Bytes bytes) {
  static const std::vector<std::string> shards = {shard_of("a.bin", 40), shard_of("b.bin", 47),
                                                  shard_of("c.bin", 54)};
  static Batches batches(shards, {.B = 2, .T = 3, .vocab_size = 300, .shuffle = true, .seed = 42});
  accepted([&] {
    BatchPosition position = state_from_json(parse_json(as_text(bytes), "state.json"), "state.json");
    if (batches.batches_before(position) > kMostBatchesTaken) return;
    batches.set_state(position);
    if (position.shards.empty()) position.shards = batches.state().shards;  // saved by an older program
    require(state_to_json(batches.state()) == state_to_json(position),
            "state: state() returns the position that set_state() was given");
    std::vector<std::int32_t> inputs(6), targets(6);
    for (int i = 0; i < 30; ++i) batches.next(inputs.data(), targets.data());
  });
}

}  // namespace inkling::fuzz
