#include "apps/ranks/shares.h"

#include <algorithm>
#include <functional>
#include <map>
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

// The indices of the chunks, in the order of their parts.
template <class Order>
std::vector<std::size_t> sorted_by_part(std::span<const std::size_t> parts, Order order) {
  std::vector<std::size_t> chunks(parts.size());
  std::iota(chunks.begin(), chunks.end(), std::size_t{0});
  std::ranges::stable_sort(chunks, order, [&](std::size_t i) { return parts[i]; });
  return chunks;
}

// Divides the chunks part by part. Each rank takes consecutive chunks until it has an equal share of all
// parts so far. Then the rank with the fewest weights takes the next chunks. The embeddings, which may have
// chunks as large as a share, come first, and the layers fill up the smaller shares.
std::vector<int> owners_of(std::span<const SegmentChunk> chunks, std::span<const std::size_t> parts,
                           int ranks) {
  std::map<std::size_t, std::int64_t> part_sizes;
  for (std::size_t i = 0; i < chunks.size(); ++i) part_sizes[parts[i]] += chunks[i].count;
  std::vector<int> owners(chunks.size());
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(ranks));
  auto size = sizes.begin();
  std::int64_t so_far = 0;
  for (const std::size_t i : sorted_by_part(parts, std::less<>())) {
    if (const auto part = part_sizes.extract(parts[i])) {  // the first chunk of a part
      size = sizes.begin();
      so_far += part.mapped();
    }
    if ((*size + chunks[i].count / 2) * ranks > so_far) size = std::ranges::min_element(sizes);
    *size += chunks[i].count;
    owners[i] = static_cast<int>(size - sizes.begin());
  }
  return owners;
}

}  // namespace

std::size_t Shares::most_buckets() const {
  std::size_t most = 0;
  for (const Share& share : of_rank) most = std::max(most, share.buckets.size());
  return most;
}

Shares shares_of(std::span<const SegmentChunk> chunks, std::span<const LayerRange> layers, int ranks) {
  const std::vector<std::size_t> parts = parts_of(chunks, layers);
  Shares shares{.of_rank = std::vector<Share>(static_cast<std::size_t>(ranks)),
                .owners = owners_of(chunks, parts, ranks)};
  const auto share = [&](std::size_t chunk) -> Share& {
    return shares.of_rank[static_cast<std::size_t>(shares.owners[chunk])];
  };
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    append(share(i).ranges, {chunks[i].offset, chunks[i].offset + chunks[i].count});
    share(i).size += chunks[i].count;
  }
  for (const std::size_t i : sorted_by_part(parts, std::greater<>()))
    append(share(i).buckets, chunks[i], parts[i]);
  return shares;
}

}  // namespace inkling
