// Segments: an optimiser's description of a model's weights. A segment is a range of the flat buffer of
// weights; it says whether weight decay applies to this range.
//
// Gradients and the optimiser's state have the same layout as the weights. An update runs in parallel over
// chunks of segments. The chunks are the same for any number of threads, so the results are the same too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace inkling {

struct ParameterSegment {
  std::int64_t offset = 0;  // the number of floats before the segment in the buffer
  std::int64_t count = 0;
  bool decay = false;  // weight decay applies: matrices and embeddings, not biases and norms
  std::string name;
  std::int64_t strip = 1;  // an update changes whole strips of this many floats
};

// Makes the segments from a table whose rows have an offset, a shape, `decay`, a name and strip() (for
// example Parameters::table()). Each matrix of a stack (L, OC, IC) becomes a segment of its own.
template <class Table>
std::vector<ParameterSegment> segments_of(const Table& table) {
  std::vector<ParameterSegment> segments;
  for (const auto& row : table) {
    const bool stacked = row.shape.rank == 3;
    const std::int64_t parts = stacked ? row.shape[0] : 1, count = row.shape.numel() / parts;
    for (std::int64_t part = 0; part < parts; ++part) {
      segments.push_back({row.offset + part * count, count, row.decay, row.name, row.strip()});
    }
  }
  return segments;
}

// A chunk is a part of a segment: small enough for the L2 cache, and small enough for many threads to share
// the work. A chunk is whole strips, except for a shorter strip at the segment's end. It has as many strips
// as fit into kFloats, but at least one.
struct SegmentChunk {
  static constexpr std::int64_t kFloats = 1 << 16;  // the most floats of a chunk, unless one strip is longer

  std::int64_t offset;
  std::int64_t count;
  bool decay;
};

// Cuts the segments into chunks. Error unless the segments are in order and do not overlap, and every offset
// and count is at least 0.
std::vector<SegmentChunk> cut_segments(const std::vector<ParameterSegment>& segments);

// The offset after the last float of the last segment.
std::int64_t extent(const std::vector<ParameterSegment>& segments);

}  // namespace inkling
