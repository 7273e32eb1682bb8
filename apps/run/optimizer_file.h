// The optimiser's state on disk: the file optimizer.bin in a checkpoint.
//
// The header of optimizer.bin has 256 int32: magic 20261122, version 1, the number of arrays, then the number
// of floats in each array as two int32 (low half, high half). The arrays follow one after the other, in
// float32: AdamW's m and v, or SGD's velocity.
#pragma once

#include <cstdint>
#include <string>

#include "core/binary_file.h"
#include "optim/optimizer.h"

namespace inkling {

constexpr std::int32_t kOptimizerMagic = 20261122;

void save_optimizer(const std::string& path, Optimizer& optimizer, FolderSync folder = FolderSync::now);
// Reads the file into the optimiser's state. Error unless the file has exactly the arrays of this optimiser.
void load_optimizer(const std::string& path, Optimizer& optimizer);

// The header alone, for a file whose arrays come from several ranks (apps/ranks/optimizer_state.h). Error
// unless the file has these numbers of arrays and of floats in each array.
void write_optimizer_header(AtomicFile& file, std::size_t arrays, std::uint64_t length);
void read_optimizer_header(ByteReader& in, std::size_t arrays, std::uint64_t length);

}  // namespace inkling
