#include "optim/segment.h"

#include <algorithm>

#include "core/error.h"

namespace inkling {

std::vector<SegmentChunk> cut_segments(const std::vector<ParameterSegment>& segments) {
  std::vector<SegmentChunk> chunks;
  std::int64_t end = 0;
  for (const ParameterSegment& s : segments) {
    if (s.offset < end || s.count < 0) {
      fail("optimizer: parameter ", s.name, " has ", s.count, " floats at offset ", s.offset,
           ", expected offset >= ", end, " and count >= 0");
    }
    end = s.offset + s.count;
    const std::int64_t step = std::max<std::int64_t>(1, SegmentChunk::kFloats / s.strip) * s.strip;
    for (std::int64_t at = s.offset; at < end; at += step) {
      chunks.push_back({at, std::min(step, end - at), s.decay});
    }
  }
  return chunks;
}

std::int64_t extent(const std::vector<ParameterSegment>& segments) {
  std::int64_t end = 0;
  for (const ParameterSegment& s : segments) end = std::max(end, s.offset + s.count);
  return end;
}

}  // namespace inkling
