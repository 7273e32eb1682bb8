#include "apps/ranks/shares.h"

#include <algorithm>

#include "core/bf16.h"
#include "core/parallel.h"

namespace inkling {

std::int64_t Share::buckets() const {
  return ceil_div(size(), kBucketFloats);
}

Share Share::bucket(std::int64_t number) const {
  const std::int64_t first = std::min(end, begin + number * kBucketFloats);
  return {first, std::min(end, first + kBucketFloats)};
}

std::vector<Share> shares_of(std::span<const SegmentChunk> chunks, int ranks) {
  std::int64_t total = 0;
  for (const SegmentChunk& c : chunks) total += c.count;
  std::vector<Share> shares(static_cast<std::size_t>(ranks));
  std::int64_t before = 0;  // weights in earlier chunks
  // A rank without a chunk has an empty share behind the share before it.
  const auto end_before = [&](std::size_t rank) { return rank == 0 ? 0 : shares[rank - 1].end; };
  std::size_t next = 0;
  for (const SegmentChunk& c : chunks) {
    // A chunk belongs to the rank in whose part of [0, total) the chunk's middle lies.
    const auto rank = static_cast<std::size_t>((before + c.count / 2) * ranks / total);
    for (; next <= rank; ++next) shares[next] = {end_before(next), end_before(next)};
    shares[rank].end = c.offset + c.count;
    before += c.count;
  }
  for (; next < shares.size(); ++next) shares[next] = {end_before(next), end_before(next)};
  return shares;
}

std::int64_t most_buckets(std::span<const Share> shares) {
  std::int64_t most = 0;
  for (const Share& share : shares) most = std::max(most, share.buckets());
  return most;
}

template <class T>
void gather_shares(Ranks& ranks, std::span<T> values, std::span<const Share> shares) {
  const auto part = [&](std::size_t rank, std::int64_t number) {
    const Share bucket = shares[rank].bucket(number);
    return std::as_writable_bytes(
        values.subspan(static_cast<std::size_t>(bucket.begin), static_cast<std::size_t>(bucket.size())));
  };
  const auto me = static_cast<std::size_t>(ranks.rank());
  std::vector<Ranks::Transfer> transfers, earlier;
  for (std::int64_t number = 0; number < most_buckets(shares); ++number) {
    for (std::size_t other = 0; other < shares.size(); ++other) {
      if (other == me) continue;
      if (!part(other, number).empty())
        transfers.push_back(ranks.start_receive(static_cast<int>(other), part(other, number)));
      if (!part(me, number).empty())
        transfers.push_back(ranks.start_send(static_cast<int>(other), part(me, number)));
    }
    for (const Ranks::Transfer transfer : earlier) ranks.wait(transfer);
    earlier.swap(transfers);
    transfers.clear();
  }
  for (const Ranks::Transfer transfer : earlier) ranks.wait(transfer);
}

template void gather_shares(Ranks&, std::span<float>, std::span<const Share>);
template void gather_shares(Ranks&, std::span<bf16>, std::span<const Share>);

}  // namespace inkling
