// The optimiser's state in a checkpoint, for a run of several ranks. The file optimizer.bin
// (apps/run/optimizer_file.h) does not depend on the number of ranks: rank 0 alone reads and writes it, and
// exchanges the pieces that other ranks have, one bucket after the other. So a run can be resumed on any
// number of ranks, and only rank 0 needs the disk.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "apps/ranks/shares.h"
#include "core/ranks/ranks.h"
#include "optim/optimizer.h"

namespace inkling {

// A piece of the state, which one rank has.
struct StatePiece {
  const char* name;
  int rank;
  std::int64_t count;       // the number of floats
  std::span<float> values;  // empty on all other ranks
};

// The arrays of optimizer.bin, cut into pieces. The pieces are in the order of the file.
struct RunState {
  std::size_t arrays;
  std::int64_t length;  // the number of floats in each array
  std::vector<StatePiece> pieces;
};

// The state of an optimiser of which each rank has its share, and of one that rank 0 has alone.
RunState state_in_shares(Optimizer& optimizer, const Ranks& ranks, const Shares& shares);
RunState whole_state(Optimizer& optimizer);

// Rank 0 calls save_state() while all other ranks call send_state(). The caller syncs the folder.
void save_state(const std::string& path, const RunState& state, Ranks& ranks);
void send_state(const RunState& state, Ranks& ranks);

// Rank 0 calls load_state() while all other ranks call receive_state(). Error unless the file has exactly
// these arrays.
void load_state(const std::string& path, const RunState& state, Ranks& ranks);
void receive_state(const RunState& state, Ranks& ranks);

}  // namespace inkling
