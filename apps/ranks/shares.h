// Shares: which weights each rank updates, and in which messages their numbers travel.
//
// A share consists of whole chunks of an update (optim/segment.h), so a chunk's update has the same bits
// whatever the number of ranks. Each layer is divided among all ranks. Backward completes the gradients layer
// by layer, from the last to the first; so all ranks have something to add while backward still runs.
//
// A share is sent in buckets. They are long enough for the speed of the network, and short enough for the
// caches. The weights of a bucket may lie in several ranges of the buffer: a layer has twelve tensors.
// Read next: gather_shares.h, gradient_sum.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/layer_norms.h"
#include "optim/segment.h"

namespace inkling {

// The weights [begin, end) of the flat buffer.
struct WeightRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const WeightRange&) const = default;
};

// The weights of one message.
struct Bucket {
  static constexpr std::int64_t kFloats = 1 << 16;  // the most weights of a bucket

  std::vector<WeightRange> ranges;
  std::int64_t size = 0;
  // The last part of the model (nn/layer_norms.h) whose gradient backward completes: the lowest of all
  // weights of the bucket.
  std::size_t part = 0;
};

struct Share {
  std::vector<Bucket> buckets;      // in the order in which backward completes their gradients
  std::vector<WeightRange> ranges;  // the same weights, in the order of the buffer
  std::int64_t size = 0;
};

struct Shares {
  std::vector<Share> of_rank;
  std::vector<int> owners;  // the rank of each chunk

  std::size_t most_buckets() const;
};

// Divides the chunks among the ranks. The shares have about the same size, and so have their parts of each
// layer. `layers` are the model's layer_ranges(). With more ranks than chunks, some shares are empty.
Shares shares_of(std::span<const SegmentChunk> chunks, std::span<const LayerRange> layers, int ranks);

}  // namespace inkling
