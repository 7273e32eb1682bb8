// GatherShares: each rank sends the numbers of its share to all other ranks, and receives theirs. Then every
// rank has the numbers of all weights.
//
// Two buckets of each rank are under way at a time. A bucket whose weights lie in one range is sent from
// where it is and arrives where it belongs; other buckets are copied into one message, and back.
#pragma once

#include <cstddef>
#include <span>

#include "apps/ranks/shares.h"
#include "core/memory.h"
#include "core/ranks/ranks.h"

namespace inkling {

class GatherShares {
 public:
  // `shares` must outlive this object. `number_bytes` is the size of a number: 4 for float, 2 for bf16.
  GatherShares(Ranks& ranks, const Shares& shares, std::size_t number_bytes);

  // `values` has a number for each weight. All ranks call it.
  void gather(std::span<std::byte> values);

 private:
  std::span<std::byte> message(std::span<std::byte> values, const Bucket& bucket, std::size_t rank,
                               std::size_t number) const;
  std::span<std::byte> bytes_of(std::span<std::byte> values, const WeightRange& range) const;
  void pack(std::span<std::byte> values, const Bucket& bucket, std::span<std::byte> message) const;
  void unpack(std::span<const std::byte> message, const Bucket& bucket, std::span<std::byte> values) const;

  Ranks& ranks_;
  const Shares& shares_;
  std::size_t number_bytes_;
  Pages messages_;  // two buckets of each rank
};

}  // namespace inkling
