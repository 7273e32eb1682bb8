// Calls that a model must refuse with an error, and a model whose weights change after they were packed.
#include "core/tape.h"
#include "nn/checkpoint.h"
#include "nn/gpt2.h"
#include "nn/kv_cache.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

GPT2Config tiny() {
  GPT2Config config;
  config.max_seq_len = 8, config.vocab_size = 20, config.layers = 2, config.heads = 2, config.channels = 16;
  return config;
}

std::vector<float> logits_of(GPT2& model) {
  std::vector<std::int32_t> ids{1, 2, 3};
  Tape tape(Recording::off);
  const Tensor logits = model.logits(tape, Tensor(ids.data(), {1, 3}));
  return {logits.f32(), logits.f32() + logits.numel()};
}

TEST_CASE("gpt2: initialise() after set_precision() packs the new weights") {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    INFO("precision " << name(precision));
    GPT2 before(tiny()), after(tiny());
    before.initialise(7);
    before.set_precision(precision, Recording::off);
    after.set_precision(precision, Recording::off);
    after.initialise(7);
    CHECK(logits_of(after) == logits_of(before));
  }
}

TEST_CASE("gpt2: if bf16 weights are packed for inference only, a loss on a recording tape is an error") {
  GPT2 model(tiny());
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
  GPT2 model(tiny());
  std::vector<std::int32_t> ids{1, 2, 3};
  std::vector<float> losses(3);
  const Tensor tokens(ids.data(), {1, 3});
  KvCache cache(tiny());
  Tape tape;
  CHECK_THROWS_WITH(model.token_losses(tape, tokens, tokens, losses.data()),
                    contains("gpt2: token_losses: the tape records"));
  CHECK_THROWS_WITH(model.next_logits(tape, tokens, std::span(&cache, 1)),
                    contains("gpt2: next_logits: the tape records"));
}

TEST_CASE("checkpoint: saving a wrong number of weights, a wrong dtype or a wrong config is an error") {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.bin";
  const std::vector<float> weights(static_cast<std::size_t>(tiny().parameter_count()));
  CHECK_THROWS_WITH(save_model(path, tiny(), std::span(weights).first(100)),
                    contains("cannot save 100 weights, expected "));
  CHECK_THROWS_WITH(save_model(path, tiny(), weights, DType::i32), contains("cannot save weights as i32"));
  GPT2Config odd = tiny();
  odd.heads = 3;
  CHECK_THROWS_WITH(save_model(path, odd, weights), contains("model.bin"));
  CHECK_THROWS_WITH(load_model(path), contains("cannot open"));
}

TEST_CASE("parameters: a layer that does not exist is an error") {
  GPT2 model(tiny());
  Tape tape(Recording::off);
  const auto layer = [&](std::size_t tensor, std::int64_t l) {
    return model.parameters().layer_leaf(tape, tensor, l, LeafGradient::overwrite);
  };
  CHECK(layer(kQkvw, 1).shape() == Shape{48, 16});
  CHECK_THROWS_WITH(layer(kQkvw, 2), contains("layer 2 of (2, 48, 16)"));
  CHECK_THROWS_WITH(layer(kQkvw, -1), contains("layer -1 of (2, 48, 16)"));
}

TEST_CASE("kv cache: queries whose shape does not fit the caches are an error") {
  std::vector<float> numbers(2 * 3 * 48);
  Tape tape(Recording::off);
  std::vector<KvCache> caches;
  caches.emplace_back(tiny());
  caches.emplace_back(tiny());
  const auto attend_to = [&](Shape qkv, std::int64_t layer, std::span<const KvCache> to) {
    return attend(tape, layer, Tensor(numbers.data(), qkv), to).shape();
  };
  CHECK(attend_to({2, 3, 48}, 1, caches) == Shape{2, 3, 16});
  CHECK_THROWS_WITH(attend_to({2, 3, 48}, 0, {}), contains("kv cache: there is no cache"));
  CHECK_THROWS_WITH(attend_to({1, 3, 48}, 0, caches), contains("qkv is (1, 3, 48), expected"));
  CHECK_THROWS_WITH(attend_to({2, 3, 45}, 0, caches), contains("qkv is (2, 3, 45), expected"));
  CHECK_THROWS_WITH(attend_to({6, 48}, 0, caches), contains("qkv is (6, 48), expected"));
  CHECK_THROWS_WITH(attend_to({2, 3, 48}, 2, caches), contains("kv cache: layer 2 of 2"));
  caches[1].advance(1);
  CHECK_THROWS_WITH(attend_to({2, 3, 48}, 0, caches), contains("two caches have 0 and 1 positions"));
}

}  // namespace
}  // namespace inkling
