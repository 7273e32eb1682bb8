// The model's calls: arguments that it must refuse with an error, and weights that change after they were
// packed.
#include "nn/gpt2.h"

#include "core/tape.h"
#include "nn/kv_cache.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

const GPT2Config kTiny{.max_seq_len = 8, .vocab_size = 20, .layers = 2, .heads = 2, .channels = 16};

std::vector<float> logits_of(GPT2& model) {
  std::vector<std::int32_t> ids{1, 2, 3};
  Tape tape(Recording::off);
  const Tensor logits = model.logits(tape, Tensor(ids.data(), {1, 3}));
  return {logits.f32(), logits.f32() + logits.numel()};
}

TEST_CASE("gpt2: initialise() after set_precision() packs the new weights") {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    INFO("precision " << name(precision));
    GPT2 before(kTiny), after(kTiny);
    before.initialise(7);
    before.set_precision(precision, Recording::off);
    after.set_precision(precision, Recording::off);
    after.initialise(7);
    CHECK(logits_of(after) == logits_of(before));
  }
}

TEST_CASE("gpt2: if bf16 weights are packed for inference only, a loss on a recording tape is an error") {
  GPT2 model(kTiny);
  model.initialise(1);
  model.set_precision(Precision::bf16, Recording::off);
  std::vector<std::int32_t> ids{1, 2, 3};
  const Tensor tokens(ids.data(), {1, 3});
  Tape tape;
  CHECK_THROWS_WITH(model.loss(tape, tokens, tokens), contains("was packed without the copy"));
  Tape inference(Recording::off);
  CHECK_NOTHROW(model.loss(inference, tokens, tokens));
}

TEST_CASE("gpt2: token_losses() and next_logits() on a recording tape are errors") {
  GPT2 model(kTiny);
  std::vector<std::int32_t> ids{1, 2, 3};
  std::vector<float> losses(3);
  const Tensor tokens(ids.data(), {1, 3});
  KvCache cache(kTiny);
  Tape tape;
  CHECK_THROWS_WITH(model.token_losses(tape, tokens, tokens, losses.data()),
                    contains("gpt2: token_losses: the tape records"));
  CHECK_THROWS_WITH(model.next_logits(tape, tokens, std::span(&cache, 1)),
                    contains("gpt2: next_logits: the tape records"));
}

TEST_CASE("gpt2: ids of a wrong shape and more than maxT tokens are errors; maxT tokens are not") {
  GPT2 model(kTiny);
  std::vector<std::int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<KvCache> caches;
  caches.emplace_back(kTiny), caches.emplace_back(kTiny);
  Tape tape(Recording::off);
  const auto next = [&](Shape shape, std::span<KvCache> with) {
    model.next_logits(tape, Tensor(ids.data(), shape), with);
  };
  CHECK_THROWS_WITH(next({3, 2}, caches), contains("ids are (3, 2), expected one row for each of 2 caches"));
  CHECK_THROWS_WITH(next({1, 2}, caches), contains("ids are (1, 2), expected one row for each of 2 caches"));
  CHECK_THROWS_WITH(next({2}, caches), contains("ids are (2), expected one row for each of 2 caches"));
  CHECK_THROWS_WITH(next({1, 1}, {}), contains("for each of 0 caches"));
  CHECK(caches[0].length() == 0);
  CHECK_NOTHROW(model.logits(tape, Tensor(ids.data(), {1, 8})));
  CHECK_THROWS_WITH(model.logits(tape, Tensor(ids.data(), {1, 9})),
                    contains("gpt2: T=9 positions, expected at most maxT=8"));
  CHECK_THROWS_WITH(model.logits(tape, Tensor(ids.data(), {6})),
                    contains("gpt2: ids are (6), expected (B, T)"));
}

TEST_CASE("gpt2: packed copies take memory in bf16 and int8, twice as much for training, and none in f32") {
  GPT2 model(kTiny);
  CHECK(model.packed_bytes() == 0);
  model.set_precision(Precision::bf16, Recording::off);
  const std::int64_t forward_only = model.packed_bytes();
  // At least 2 bytes for each weight of a matrix. The matrices are wte and 12 C^2 weights in each layer.
  CHECK(forward_only >= 2 * (128 * 16 + 2 * 12 * 16 * 16));
  model.set_precision(Precision::bf16, Recording::on);
  CHECK(model.packed_bytes() >= forward_only + 2 * (128 * 16 + 2 * 12 * 16 * 16));
  model.set_precision(Precision::int8, Recording::off);
  CHECK(model.packed_bytes() >= 128 * 16 + 2 * 12 * 16 * 16);
  model.set_precision(Precision::f32, Recording::on);
  CHECK(model.packed_bytes() == 0);
}

}  // namespace
}  // namespace inkling
