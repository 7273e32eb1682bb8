#include "apps/text/shard.h"

#include <cstdint>
#include <vector>

#include "apps/text/batches.h"
#include "apps/text/windows.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

constexpr std::int64_t kB = 2, kT = 3;
constexpr std::int32_t kEndOfText = 7;

void read_windows(const std::string& path, std::int64_t vocab_size, std::int64_t stride) {
  Windows windows({path}, kB, kT, vocab_size, kEndOfText, LossMask::use, stride);
  std::vector<std::int32_t> inputs(kB * kT), targets(kB * kT);
  std::int64_t counted = 0;
  while (windows.next(inputs.data(), targets.data())) {
    for (std::int32_t target : targets) counted += target != -1;
  }
  require(counted == windows.targets(), "windows: the number of targets is the announced number");
}

void read_batches(const std::string& path, std::int64_t vocab_size, bool shuffle, bool align_documents) {
  Batches batches({path}, {.B = kB,
                           .T = kT,
                           .vocab_size = vocab_size,
                           .shuffle = shuffle,
                           .align_documents = align_documents,
                           .end_of_text = kEndOfText});
  std::vector<std::int32_t> inputs(kB * kT), targets(kB * kT);
  for (int i = 0; i < 5; ++i) batches.next(inputs.data(), targets.data());
  batches.set_state(batches.state());
  batches.next(inputs.data(), targets.data());
  for (std::int32_t id : inputs)
    require(id >= 0 && id < vocab_size, "batches: every id is inside the vocabulary");
}

}  // namespace

void shard(Bytes bytes) {
  const std::string path = put("shard.bin", bytes);
  if (!accepted([&] { Shard{path}; })) return;
  const Shard shard(path);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shard.size()));
  shard.copy(0, shard.size(), tokens.data());
  for (std::int64_t i = 0; i < shard.size(); ++i)
    require(shard[i] == tokens[static_cast<std::size_t>(i)], "shard: copy() and [] agree");
  for (std::int64_t vocab_size : {300, 1 << 20}) {
    for (std::int64_t stride = 1; stride <= kT; ++stride)
      accepted([&] { read_windows(path, vocab_size, stride); });
    for (bool shuffle : {false, true}) {
      for (bool align_documents : {false, true})
        accepted([&] { read_batches(path, vocab_size, shuffle, align_documents); });
    }
  }
}

}  // namespace inkling::fuzz
