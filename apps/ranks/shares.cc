#include "apps/ranks/shares.h"

#include <algorithm>
#include <numeric>

namespace inkling {

namespace {

// The lowest part of the model in each chunk. Both lists are in the order of the buffer.
std::vector<std::size_t> parts_of(std::span<const SegmentChunk> chunks, std::span<const LayerRange> layers) {
  std::vector<std::size_t> parts;
  auto layer = layers.begin();
  for (const SegmentChunk& c : chunks) {
    while (layer->offset + layer->count <= c.offset) ++layer;
    std::size_t lowest = layer->part;
    for (auto next = layer; next != layers.end() && next->offset < c.offset + c.count; ++next)
      lowest = std::min(lowest, next->part);
    parts.push_back(lowest);
  }
  return parts;
}

// Adds a range behind the last one. Ranges that touch become one.
void append(std::vector<WeightRange>& ranges, WeightRange range) {
  if (!ranges.empty() && ranges.back().end == range.begin) {
    ranges.back().end = range.end;
  } else {
    ranges.push_back(range);
  }
}

void append(std::vector<Bucket>& buckets, const SegmentChunk& chunk, std::size_t part) {
  for (std::int64_t at = chunk.offset; at < chunk.offset + chunk.count;) {
    if (buckets.empty() || buckets.back().size == Bucket::kFloats) buckets.emplace_back();
    Bucket& bucket = buckets.back();
    const std::int64_t end = std::min(chunk.offset + chunk.count, at + Bucket::kFloats - bucket.size);
    append(bucket.ranges, {at, end});
    bucket.size += end - at;
    bucket.part = part;
    at = end;
  }
}

}  // namespace

std::size_t Shares::most_buckets() const {
  std::size_t most = 0;
  for (const Share& share : of_rank) most = std::max(most, share.buckets.size());
  return most;
}

// Every rank takes consecutive chunks until it has an equal part of all chunks so far. Then the rank with the
// fewest weights takes the next chunks.
Shares shares_of(std::span<const SegmentChunk> chunks, std::span<const LayerRange> layers, int ranks) {
  const std::vector<std::size_t> parts = parts_of(chunks, layers);
  std::vector<std::size_t> order(chunks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return parts[a] > parts[b]; });

  Shares shares{.of_rank = std::vector<Share>(static_cast<std::size_t>(ranks)),
                .owners = std::vector<int>(chunks.size())};
  std::vector<Share>& of_rank = shares.of_rank;
  const auto fewest = [](const Share& a, const Share& b) { return a.size < b.size; };
  std::int64_t so_far = 0;
  auto share = of_rank.begin();
  for (auto i = order.begin(); i != order.end(); ++i) {
    if (i == order.begin() || parts[*i] != parts[*std::prev(i)]) {  // the first chunk of a part
      share = of_rank.begin();
      so_far += std::accumulate(i, order.end(), std::int64_t{0}, [&](std::int64_t sum, std::size_t other) {
        return sum + (parts[other] == parts[*i] ? chunks[other].count : 0);
      });
    }
    const SegmentChunk& chunk = chunks[*i];
    if ((share->size + chunk.count / 2) * ranks > so_far)
      share = std::min_element(of_rank.begin(), of_rank.end(), fewest);
    append(share->buckets, chunk, parts[*i]);
    share->size += chunk.count;
    shares.owners[*i] = static_cast<int>(share - of_rank.begin());
  }
  for (std::size_t i = 0; i < chunks.size(); ++i)
    append(of_rank[static_cast<std::size_t>(shares.owners[i])].ranges,
           {chunks[i].offset, chunks[i].offset + chunks[i].count});
  return shares;
}

}  // namespace inkling
