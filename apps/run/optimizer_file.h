// The optimiser's memory on disk: optimizer.bin in a checkpoint.
//
// 256 int32 of header: magic 20261122, version 1, number of arrays, then their length in floats as two int32
// (low, high). Then the arrays, float32, one after the other: AdamW's m and v, or SGD's velocity.
#pragma once

#include <cstdint>
#include <string>

#include "optim/optimizer.h"

namespace inkling {

constexpr std::int32_t kOptimizerMagic = 20261122;

void save_optimizer(const std::string& path, Optimizer& optimizer);
// Error unless the file holds exactly the arrays this optimiser has.
void load_optimizer(const std::string& path, Optimizer& optimizer);

}  // namespace inkling
