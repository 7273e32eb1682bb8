// The optimiser's state in a checkpoint, for a run of several ranks. Each rank has its share of the state,
// but the file optimizer.bin (apps/run/optimizer_file.h) is the same as the file of a run on one rank: rank 0
// alone reads and writes it, and exchanges the shares with the other ranks, one bucket after the other. So a
// run can be resumed on any number of ranks, and only rank 0 needs the disk.
#pragma once

#include <span>
#include <string>

#include "apps/ranks/shares.h"
#include "core/ranks/ranks.h"
#include "optim/optimizer.h"

namespace inkling {

// Rank 0 calls save_optimizer() while all other ranks call send_optimizer(). The caller syncs the folder.
void save_optimizer(const std::string& path, Optimizer& optimizer, Ranks& ranks,
                    std::span<const Share> shares);
void send_optimizer(Optimizer& optimizer, Ranks& ranks, std::span<const Share> shares);

// Rank 0 calls load_optimizer() while all other ranks call receive_optimizer(). Error unless the file has
// exactly the arrays of this optimiser.
void load_optimizer(const std::string& path, Optimizer& optimizer, Ranks& ranks,
                    std::span<const Share> shares);
void receive_optimizer(Optimizer& optimizer, Ranks& ranks, std::span<const Share> shares);

}  // namespace inkling
