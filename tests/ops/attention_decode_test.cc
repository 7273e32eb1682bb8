// Attention with a cache. A text may come in pieces of any length. The result is the same as for the whole
// text at once.
#include "ops/attention/attention_decode.h"

#include <cstring>

#include "core/parallel.h"
#include "ops/attention/attention.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The kernel for a single token adds in another order than the kernel for tiles.
constexpr Tolerance kFloatTolerance{1e-5, 1e-5};

struct Text {
  std::int64_t B, T, NH, HS, C = NH * HS;
  std::vector<float> qkv = random_floats(B * T * 3 * C, 5);

  // The whole text at once, without a cache.
  std::vector<float> at_once() {
    Tape tape(Recording::off);
    const Tensor y = attention(tape, Tensor(qkv.data(), {B, T, 3 * C}), NH);
    return {y.f32(), y.f32() + y.numel()};
  }

  // The text in pieces of `pieces` tokens, through a cache. The memory of the cache holds NaN at first.
  std::vector<float> in_pieces(const std::vector<std::int64_t>& pieces) {
    const std::int64_t floats = kv_cache_floats(NH, HS, T);
    Guarded memory(B * floats, 0, NAN);
    std::vector<KvCacheLayer> caches;
    for (std::int64_t b = 0; b < B; ++b)
      caches.push_back(kv_cache_layer(memory.data() + b * floats, NH, HS, T));
    std::vector<float> out(static_cast<std::size_t>(B * T * C));
    std::int64_t pos = 0;
    for (const std::int64_t n : pieces) {
      std::vector<float> piece;
      for (std::int64_t b = 0; b < B; ++b) {
        const auto begin = qkv.begin() + (b * T + pos) * 3 * C;
        piece.insert(piece.end(), begin, begin + n * 3 * C);
      }
      Guarded piece_out(B * n * C, 3, NAN);
      attention_decode(piece_out.data(), piece.data(), caches, pos, n);
      for (std::int64_t b = 0; b < B; ++b) {
        std::memcpy(out.data() + (b * T + pos) * C, piece_out.data() + b * n * C,
                    static_cast<std::size_t>(n * C) * sizeof(float));
      }
      piece_out.check();
      pos += n;
    }
    REQUIRE(pos == T);
    memory.check();
    return out;
  }
};

TEST_CASE(
    "attention_decode: a prompt in pieces of many tokens has the same bits as attention without a cache") {
  for_each_isa([] {
    for (const std::int64_t HS : {5, 16, 33, 64}) {
      INFO("HS = " << HS);
      Text text{2, 133, 2, HS};
      const std::vector<float> whole = text.at_once();
      CHECK((text.in_pieces({133}) == whole));
      CHECK((text.in_pieces({2, 31, 7, 60, 33}) == whole));
      CHECK((text.in_pieces({63, 70}) == whole));
    }
  });
}

TEST_CASE(
    "attention_decode: token by token, with or without a prompt, it agrees with attention without a cache") {
  for_each_isa([] {
    for (const std::int64_t HS : {1, 7, 16, 20, 48, 64, 80, 100}) {
      INFO("HS = " << HS);
      Text text{1, 131, 2, HS};
      const std::vector<float> whole = text.at_once();
      check_close("out", text.in_pieces(std::vector<std::int64_t>(131, 1)), whole, kFloatTolerance);
      std::vector<std::int64_t> pieces(132 - 37, 1);
      pieces[0] = 37;
      check_close("out after a prompt", text.in_pieces(pieces), whole, kFloatTolerance);
    }
  });
}

TEST_CASE("attention_decode: one and four threads give the same bits, and a second run needs no new pages") {
  const RestoreThreads restore;
  Text text{3, 300, 4, 64};
  std::vector<std::int64_t> pieces(301 - 250, 1);
  pieces[0] = 250;
  set_threads(1);
  const std::vector<float> one = text.in_pieces(pieces);
  const std::int64_t pages = page_allocations();
  CHECK((text.in_pieces(pieces) == one));
  CHECK(page_allocations() == pages);
  set_threads(4);
  CHECK((text.in_pieces(pieces) == one));
}

TEST_CASE("attention_decode: a text longer than the cache is an error") {
  std::vector<float> memory(static_cast<std::size_t>(kv_cache_floats(1, 4, 8))), qkv(9 * 12), out(9 * 4);
  const std::vector<KvCacheLayer> caches = {kv_cache_layer(memory.data(), 1, 4, 8)};
  CHECK_NOTHROW(attention_decode(out.data(), qkv.data(), caches, 0, 8));
  CHECK_THROWS_WITH(attention_decode(out.data(), qkv.data(), caches, 8, 1),
                    contains("attention_decode: positions 8 to 8, expected 0 to 7"));
  CHECK_THROWS_WITH(attention_decode(out.data(), qkv.data(), caches, 0, 9),
                    contains("attention_decode: positions 0 to 8, expected 0 to 7"));
}

TEST_CASE("attention_decode: no cache, and caches of different shapes, are errors") {
  std::vector<float> memory(static_cast<std::size_t>(2 * kv_cache_floats(2, 8, 16))), qkv(2 * 48),
      out(2 * 16);
  const KvCacheLayer cache = kv_cache_layer(memory.data(), 2, 8, 16);
  const KvCacheLayer shorter = kv_cache_layer(memory.data(), 2, 8, 8);
  CHECK_THROWS_WITH(attention_decode(out.data(), qkv.data(), {}, 0, 1),
                    contains("attention_decode: there is no cache"));
  const std::vector<KvCacheLayer> both{cache, shorter};
  CHECK_THROWS_WITH(attention_decode(out.data(), qkv.data(), both, 0, 1),
                    contains("expected the same shape"));
  CHECK_THROWS_WITH(copy_positions(shorter, cache, 4), contains("copy_positions: caches are"));
  CHECK_THROWS_WITH(copy_positions(cache, cache, 17), contains("17 positions, expected 0 to 16"));
}

}  // namespace
}  // namespace inkling
