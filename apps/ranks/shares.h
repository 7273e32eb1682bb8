// Shares: which weights each rank updates.
//
// A share is a range of the flat buffer of weights. It consists of whole chunks of an update
// (optim/segment.h), so a chunk's update has the same bits whatever the number of ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/ranks/ranks.h"
#include "optim/segment.h"

namespace inkling {

// The weights [begin, end). An empty share has begin = end.
struct Share {
  // A share is sent in buckets: messages of this many floats. They are long enough for the speed of the
  // network, and short enough for the caches.
  static constexpr std::int64_t kBucketFloats = 1 << 16;

  std::int64_t begin = 0, end = 0;

  std::int64_t size() const { return end - begin; }
  bool contains(const SegmentChunk& chunk) const { return chunk.offset >= begin && chunk.offset < end; }
  std::int64_t buckets() const;
  Share bucket(std::int64_t number) const;  // empty behind the last bucket
};

// One share for each rank, in order, with about the same number of weights.
std::vector<Share> shares_of(std::span<const SegmentChunk> chunks, int ranks);

// The number of buckets of the largest share.
std::int64_t most_buckets(std::span<const Share> shares);

// Sends this rank's share of `values` to all other ranks, and receives theirs. All ranks take part. T is
// float or bf16.
template <class T>
void gather_shares(Ranks& ranks, std::span<T> values, std::span<const Share> shares);

}  // namespace inkling
