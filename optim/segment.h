// What an optimiser knows of a model: which stretches of one flat buffer of weights are parameters, and which
// decay.
//
// Gradients and the optimiser's state are laid out as the weights are. Updates run over fixed chunks of
// segments, so that they are parallel and each number is computed the same on any number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace inkling {

struct ParameterSegment {
  std::int64_t offset = 0;  // floats from the start of the buffer
  std::int64_t count = 0;
  bool decay = false;  // weight decay applies: matrices and embeddings, not biases and norms
  std::string name;
  std::int64_t columns = 1;  // of a matrix, whose rows are updated in whole strips
};

// The segments of a model, from its table: rows with an offset, a shape, decay and a name (nn/parameters.h
// has one). Each matrix of a stack (L, OC, IC) is a segment of its own.
template <class Table>
std::vector<ParameterSegment> segments_of(const Table& table) {
  std::vector<ParameterSegment> segments;
  for (const auto& row : table) {
    const bool stacked = row.shape.rank == 3;
    const std::int64_t columns = row.shape.rank >= 2 ? row.shape.back() : 1;
    const std::int64_t parts = stacked ? row.shape[0] : 1, count = row.shape.numel() / parts;
    for (std::int64_t part = 0; part < parts; ++part) {
      segments.push_back({row.offset + part * count, count, row.decay, row.name, columns});
    }
  }
  return segments;
}

// A piece of a segment, small enough that many threads find work and that it stays in the second cache. Of a
// matrix it is whole strips of kWeightRows rows (ops/gemm_bf16.h), but for the matrix's end: as many as
// kFloats hold, and one if a single strip is longer.
struct SegmentChunk {
  static constexpr std::int64_t kFloats = 1 << 16;  // at most, but for such a strip

  std::int64_t offset;
  std::int64_t count;
  bool decay;
};

// Error unless the segments lie one after another, without overlap, with offset and count >= 0.
std::vector<SegmentChunk> cut_segments(const std::vector<ParameterSegment>& segments);

// One past the last float of the segments.
std::int64_t extent(const std::vector<ParameterSegment>& segments);

}  // namespace inkling
