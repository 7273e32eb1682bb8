// Errors of attention_decode and copy_positions: no cache, caches of different shapes, too many positions.
#include "ops/attention/attention_decode.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

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
