// Attention for generation: keys and values of the past are kept, so that a new token costs one row instead
// of a whole T x T.
//
// The same mathematics as ops/attention.h, for queries at positions pos .. pos + Tq - 1 against the cache: a
// prompt goes in at once (Tq tokens), then one token at a time. All is f32 here. A prompt runs through the
// tiles of training in f32 and gives the very same bits. A single token has no tile to fill: it reads the
// cache once, in order, and is as fast as memory.
//
// Every text has a cache of its own; several that are equally long go in together, which gives all threads
// something to do.
//
// Layout of the cache. Scores of one query against many keys are made with a register of keys, so keys are
// transposed in blocks: (NH, blocks, HS, 64). The output is a sum of rows of V, so values lie as rows: (NH,
// positions, HSp), HSp being HS padded to kHeadPad. Both are read from front to back. Memory that no position
// was written to yet may hold anything.
#pragma once

#include <cstdint>
#include <span>

namespace inkling {

// One text's cache of one layer, a view: memory belongs to whoever made it.
struct KvCacheLayer {
  float* keys;
  float* values;
  std::int64_t NH;
  std::int64_t HS;
  std::int64_t capacity;  // positions
};

// Floats of memory that one layer wants, and the layer in such memory (64-byte aligned is fastest).
std::int64_t kv_cache_floats(std::int64_t NH, std::int64_t HS, std::int64_t capacity);
KvCacheLayer kv_cache_layer(float* memory, std::int64_t NH, std::int64_t HS, std::int64_t capacity);

// Writes the keys and values of qkv (B, Tq, 3C) into B caches of one shape, at positions pos .. pos + Tq - 1,
// and attends its queries to everything up to themselves: out (B, Tq, C). Positions 0 .. pos - 1 must have
// been written. Error past the capacity, or unless there is a cache and all have one shape.
void attention_decode(float* out, const float* qkv, std::span<const KvCacheLayer> caches, std::int64_t pos,
                      std::int64_t Tq);

// Copies positions 0 .. count - 1 between two caches of one shape. Error if they are not, or hold fewer.
void copy_positions(const KvCacheLayer& to, const KvCacheLayer& from, std::int64_t count);

}  // namespace inkling
