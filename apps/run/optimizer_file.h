// The optimiser's state on disk: the file optimizer.bin in a checkpoint.
//
// The header of optimizer.bin has 256 int32: magic 20261122, version 1, the number of arrays, then the number
// of floats in each array as two int32 (low half, high half). The arrays follow one after the other, in
// float32: AdamW's m and v, or SGD's velocity. With --local-steps there are 1 + R (1 + S) arrays: the outer
// velocity, and for each of the R replicas its weights and the S arrays of its optimiser.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/binary_file.h"

namespace inkling {

constexpr std::int32_t kOptimizerMagic = 20261122;

// The header alone: the arrays come from several ranks (apps/ranks/optimizer_state.h). Error unless the file
// has these numbers of arrays and of floats in each array.
void write_optimizer_header(AtomicFile& file, std::size_t arrays, std::uint64_t length);
void read_optimizer_header(ByteReader& in, std::size_t arrays, std::uint64_t length);

}  // namespace inkling
