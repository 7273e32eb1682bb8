#include "ops/attention/attention_decode.h"

#include <algorithm>

#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "ops/attention/attention.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

// A tile of queries also reads rows of values after its last row, without using them; so they must exist.
std::int64_t positions(std::int64_t capacity) {
  return pad_to(capacity + kQueryTile, kKeyBlock);
}

// The part of the cache that belongs to one head.
KvCacheLayer cache_of_head(const KvCacheLayer& cache, std::int64_t h) {
  const std::int64_t first = h * positions(cache.capacity);
  return {cache.keys + first * cache.HS, cache.values + first * pad_to(cache.HS, kHeadPad), 1, cache.HS,
          cache.capacity};
}

void check_same_shape(const char* op, const KvCacheLayer& a, const KvCacheLayer& b) {
  if (a.NH == b.NH && a.HS == b.HS && a.capacity == b.capacity) return;
  fail(op, ": caches are (NH=", a.NH, ", HS=", a.HS, ", capacity=", a.capacity, ") and (NH=", b.NH,
       ", HS=", b.HS, ", capacity=", b.capacity, "), expected the same shape for all caches");
}

}  // namespace

std::int64_t kv_cache_floats(std::int64_t NH, std::int64_t HS, std::int64_t capacity) {
  return NH * positions(capacity) * (HS + pad_to(HS, kHeadPad));
}

KvCacheLayer kv_cache_layer(float* memory, std::int64_t NH, std::int64_t HS, std::int64_t capacity) {
  return {memory, memory + NH * positions(capacity) * HS, NH, HS, capacity};
}

void attention_decode(float* out, const float* qkv, std::span<const KvCacheLayer> caches, std::int64_t pos,
                      std::int64_t Tq) {
  if (caches.empty()) fail("attention_decode: there is no cache, expected at least one");
  for (const KvCacheLayer& cache : caches) check_same_shape("attention_decode", cache, caches.front());
  const std::int64_t NH = caches.front().NH, HS = caches.front().HS, capacity = caches.front().capacity;
  const std::int64_t C = NH * HS, end = pos + Tq;
  if (pos < 0 || Tq < 1 || end > capacity) {
    fail("attention_decode: positions ", pos, " to ", end - 1, ", expected 0 to ", capacity - 1,
         ", the positions of a cache");
  }
  // A single token of a short text takes less time than waking a thread. So a task has enough heads for this
  // many multiply-adds.
  constexpr std::int64_t kTaskSize = 1 << 16;
  const std::int64_t heads = std::ssize(caches) * NH;
  const std::int64_t heads_per_task = std::clamp<std::int64_t>(kTaskSize / (2 * end * HS * Tq), 1, heads);
  const auto head = [&](std::int64_t bh) {
    return cache_of_head(caches[static_cast<std::size_t>(bh / NH)], bh % NH);
  };
  parallel_for(heads, heads_per_task, [&](std::int64_t begin, std::int64_t finish) {
    auto* scratch = static_cast<float*>(
        thread_scratch(static_cast<std::size_t>(attention_scratch_floats(end, HS)) * sizeof(float)));
    for (std::int64_t bh = begin; bh < finish; ++bh) {
      const std::int64_t b = bh / NH, h = bh % NH;
      const KvCacheLayer cache = head(bh), next = head(std::min(bh + 1, heads - 1));
      const float* q = qkv + b * Tq * 3 * C + h * HS;
      kernels().attention_decode({.out = out + b * Tq * C + h * HS,
                                  .out_stride = C,
                                  .keys = cache.keys,
                                  .values = cache.values,
                                  .q = q,
                                  .k = q + C,
                                  .v = q + 2 * C,
                                  .stride = 3 * C,
                                  .pos = pos,
                                  .Tq = Tq,
                                  .HS = HS,
                                  .next = next.keys},
                                 scratch);
    }
  });
}

void copy_positions(const KvCacheLayer& to, const KvCacheLayer& from, std::int64_t count) {
  check_same_shape("copy_positions", to, from);
  if (count < 0 || count > from.capacity)
    fail("copy_positions: cannot copy ", count, " positions, expected 0 to ", from.capacity);
  for (std::int64_t h = 0; h < from.NH; ++h) {
    const KvCacheLayer source = cache_of_head(from, h), target = cache_of_head(to, h);
    std::copy_n(source.keys, pad_to(count, kKeyBlock) * from.HS, target.keys);
    std::copy_n(source.values, count * pad_to(from.HS, kHeadPad), target.values);
  }
}

}  // namespace inkling
