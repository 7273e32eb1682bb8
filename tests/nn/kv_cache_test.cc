// The KV cache of one text: forgetting tokens, copying, and reading more tokens after both; wrong arguments.
#include "nn/kv_cache.h"

#include "nn/gpt2.h"
#include "tests/nn/naive_gpt2.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Ids = std::vector<std::int32_t>;

constexpr Tolerance kFloat{5e-6, 5e-6};  // two layers of sums of at most 32 floats

const GPT2Config kConfig{.max_seq_len = 6, .vocab_size = 9, .layers = 2, .heads = 2, .channels = 8};

const GPT2Config kTiny{.max_seq_len = 8, .vocab_size = 20, .layers = 2, .heads = 2, .channels = 16};

struct Reader {
  GPT2 model{kConfig};
  std::vector<double> weights;

  Reader() {
    model.initialise(3);
    weights = as_doubles(model.parameters().values());
  }
  // Reads `ids` into the cache. Then checks the logits against a full pass over `all`, which is the whole
  // text so far.
  void read(KvCache& cache, Ids ids, const Ids& all) {
    Tape tape(Recording::off);
    const Tensor got =
        model.next_logits(tape, Tensor(ids.data(), {1, std::ssize(ids)}), std::span(&cache, 1));
    const auto want = NaiveGPT2(kConfig).logits(weights, all);
    check_close("logits", std::span<const float>(got.f32(), 9), std::span(want).last(9), kFloat);
    CHECK(cache.length() == std::ssize(all));
  }
};

TEST_CASE("kv cache: after forgetting the newest tokens, other tokens can be read in their place") {
  Reader reader;
  KvCache cache(kConfig);
  reader.read(cache, {1, 5, 2, 8}, {1, 5, 2, 8});
  cache.advance(-1);
  reader.read(cache, {3}, {1, 5, 2, 3});
  cache.advance(-3);
  reader.read(cache, {7, 7}, {1, 7, 7});
  cache.clear();
  CHECK(cache.length() == 0);
  reader.read(cache, {4, 4, 0, 6, 1, 2}, {4, 4, 0, 6, 1, 2});
}

TEST_CASE("kv cache: a copy continues the same text, and the original does not change with it") {
  Reader reader;
  KvCache first(kConfig), second(kConfig);
  reader.read(second, {8, 8, 8, 8, 8}, {8, 8, 8, 8, 8});  // copy() below replaces this text
  reader.read(first, {1, 5, 2}, {1, 5, 2});
  second.copy(first);
  CHECK(second.length() == 3);
  reader.read(second, {0, 4}, {1, 5, 2, 0, 4});
  reader.read(first, {6}, {1, 5, 2, 6});
  reader.read(second, {3}, {1, 5, 2, 0, 4, 3});
  KvCache empty(kConfig);
  first.copy(empty);
  CHECK(first.length() == 0);
  reader.read(first, {2}, {2});
}

TEST_CASE("kv cache: a layer that does not exist and a cache of another model are errors") {
  KvCache cache(kConfig);
  CHECK_NOTHROW(cache.layer(1));
  CHECK_THROWS_WITH(cache.layer(2), contains("kv cache: layer 2 of 2"));
  CHECK_THROWS_WITH(cache.layer(-1), contains("kv cache: layer -1 of 2"));
  GPT2Config longer = kConfig;
  longer.max_seq_len = 7;
  KvCache other(longer);
  CHECK_THROWS_WITH(cache.copy(other), contains("kv cache: cannot copy a cache of a model"));
  std::vector<KvCache> both;
  both.emplace_back(kConfig), both.emplace_back(longer);
  std::vector<float> qkv(2 * 24);
  Tape tape(Recording::off);
  CHECK_THROWS_WITH(attend(tape, 0, Tensor(qkv.data(), {2, 1, 24}), both),
                    contains("kv cache: the caches belong to models"));
}

TEST_CASE("kv cache: queries whose shape does not fit the caches are an error") {
  std::vector<float> numbers(2 * 3 * 48);
  Tape tape(Recording::off);
  std::vector<KvCache> caches;
  caches.emplace_back(kTiny);
  caches.emplace_back(kTiny);
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
