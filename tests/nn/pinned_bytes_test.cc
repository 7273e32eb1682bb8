// The bytes of the trained weights, on every instruction set. Other tests check that the weights are right.
// These tests check that the weights do not change: if a commit only moves or renames code, no bit may
// change.
//
// tests/goldens/pinned_bytes.json has a hash of the trained weights for each table of kernels and each
// precision. If a commit changes the arithmetic on purpose, take the new hashes from the failing tests and
// explain the change in the commit message.
#include <xxhash.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/run/training_step.h"
#include "optim/adamw.h"
#include "tests/nn/golden.h"

namespace inkling {
namespace {

using namespace inkling::test;

struct Training {
  GPT2Config config;
  std::int64_t B, T;
  std::int64_t steps;
};
// No size is a multiple of a register, a tile of 16 or 32, or a panel of 48 columns. The second training has
// sequences longer than a tile of 256 queries.
const Training kTrainings[] = {
    {{.max_seq_len = 40, .vocab_size = 150, .layers = 2, .heads = 3, .channels = 60}, 2, 37, 20},
    {{.max_seq_len = 300, .vocab_size = 70, .layers = 1, .heads = 2, .channels = 38}, 1, 300, 2}};

// Takes uniform random numbers, which are the same with every C library. Normal random numbers would depend
// on the C library's log and cos.
void initialise(std::span<float> weights) {
  Rng rng(5, 0);
  for (float& w : weights) w = static_cast<float>(0.2 * (rng.uniform() - 0.5));
}

std::vector<float> weights_after(const Training& training, Precision precision) {
  const auto [config, B, T, steps] = training;
  GPT2 model(config);
  initialise(model.parameters().values());
  model.set_precision(precision, Recording::on);
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(B * T)), targets(ids.size());
  Rng rng(6, 0);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocab_size)));
    targets[i] = i % 7 == 3 ? -1 : ids[i] / 2;
  }
  Tape tape;
  const MicroBatch batch{Tensor(ids.data(), {B, T}), Tensor(targets.data(), {B, T})};
  for (std::int64_t step = 1; step <= steps; ++step) {
    training_step(model, optimizer, tape, std::span(&batch, 1), {.step = step, .lr = 1e-3f, .max_norm = 1});
  }
  const std::span<const float> weights = model.parameters().values();
  return {weights.begin(), weights.end()};
}

void check_bytes(Isa isa) {
  const RestoreIsa restore;
  const std::vector<const Kernels*> all = tables();
  const auto table = std::find_if(all.begin(), all.end(), [&](const Kernels* t) { return t->isa == isa; });
  if (table == all.end()) skip(str("this CPU cannot run the kernels of ", name(isa)));
  use_table(**table);
  const auto pinned = nlohmann::json::parse(std::ifstream("tests/goldens/pinned_bytes.json"));
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    std::vector<float> weights;
    for (const Training& training : kTrainings) {
      const std::vector<float> trained = weights_after(training, precision);
      for (const float w : trained) REQUIRE(std::isfinite(w));
      weights.insert(weights.end(), trained.begin(), trained.end());
    }
    INFO(name(isa) << ", " << name(precision));
    CHECK(str(XXH3_64bits(weights.data(), weights.size() * sizeof(float))) ==
          pinned.at(name(isa)).at(name(precision)).get<std::string>());
  }
}

TEST_CASE("pinned bytes: training on scalar gives the recorded weights") {
  check_bytes(Isa::scalar);
}
TEST_CASE("pinned bytes: training on sse2 gives the recorded weights") {
  check_bytes(Isa::sse2);
}
TEST_CASE("pinned bytes: training on avx2 gives the recorded weights") {
  check_bytes(Isa::avx2);
}
TEST_CASE("pinned bytes: training on avx512 gives the recorded weights") {
  check_bytes(Isa::avx512);
}
TEST_CASE("pinned bytes: training on avx512_bf16 gives the recorded weights") {
  check_bytes(Isa::avx512_bf16);
}
TEST_CASE("pinned bytes: training on amx, emulated or not, gives the recorded weights") {
  check_bytes(Isa::amx);
}

}  // namespace
}  // namespace inkling
