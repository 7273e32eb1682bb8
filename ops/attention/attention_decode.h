// Attention for generation. The keys and values of earlier tokens are cached, so a new token computes one row
// of attention instead of a whole T x T matrix.
//
// The mathematics is the same as in ops/attention/attention.h, for queries at positions pos .. pos + Tq - 1
// against the cache. A prompt is read in one call (Tq tokens), then each generated token takes one call.
// Everything is f32 here. A prompt uses the f32 tiles of training and gives exactly the same bits. A single
// token cannot fill a tile: it reads the cache once, in order, and memory bandwidth limits its speed.
//
// When a model generates, this runs as attention_decode in ops/attention/attention_decode_simd.h: attend_one
// for a single token, attend_tile (attention_forward_simd.h) for a prompt. Training does not use it.
//
// Every text has a cache of its own. Texts of equal length go through one call together, so that all threads
// have work.
//
// Layout of the cache. The scores of one query are computed for a register full of keys at a time, so keys
// are stored transposed, in blocks: (NH, blocks, HS, 64). The output is a sum of rows of V, so values are
// stored as rows: (NH, positions, HSp), where HSp is HS padded to kHeadPad. Both are read from front to back.
// Memory of positions that were not written yet may hold any values.
#pragma once

#include <cstdint>
#include <span>

namespace inkling {

// A view of one text's cache of one layer. It does not own the memory.
struct KvCacheLayer {
  float* keys;
  float* values;
  std::int64_t NH;
  std::int64_t HS;
  std::int64_t capacity;  // positions
};

// The arguments of the kernel: one head of one text.
struct AttentionDecode {
  float* out;  // (Tq, HS), rows out_stride apart
  std::int64_t out_stride;
  float *keys, *values;    // the head's part of the cache: (blocks, HS, 64) and (positions, HSp)
  const float *q, *k, *v;  // (Tq, HS), rows `stride` apart
  std::int64_t stride;
  std::int64_t pos, Tq, HS;
  const float* next;  // the keys of another head, which the kernel prefetches while it computes
};

// The number of floats that one layer's cache needs, and the view of such memory (fastest if it is aligned to
// 64 bytes).
std::int64_t kv_cache_floats(std::int64_t NH, std::int64_t HS, std::int64_t capacity);
KvCacheLayer kv_cache_layer(float* memory, std::int64_t NH, std::int64_t HS, std::int64_t capacity);

// Writes the keys and values of qkv (B, Tq, 3C) into B caches of equal shape, at positions pos .. pos + Tq
// - 1. Then each query attends to all positions up to its own: out (B, Tq, C). Positions 0 .. pos - 1 must
// have been written before. Error if a position is past the capacity, if there is no cache, or if the caches'
// shapes differ.
void attention_decode(float* out, const float* qkv, std::span<const KvCacheLayer> caches, std::int64_t pos,
                      std::int64_t Tq);

// Copies positions 0 .. count - 1 between two caches. Error if their shapes differ or their capacity is below
// count.
void copy_positions(const KvCacheLayer& to, const KvCacheLayer& from, std::int64_t count);

}  // namespace inkling
