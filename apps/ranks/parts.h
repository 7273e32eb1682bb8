// Parts: how a run's batch is divided over its ranks, and the order of a sum over all parts.
//
// A run has R parts (--replicas). Each part computes the gradient of its rows, as if it were alone. A rank
// has consecutive parts. A run of R parts can have any number of ranks up to R, and its result does not
// depend on this number, because the gradients of the parts are always added in the order of one binary tree:
//
//   sum of parts [begin, end) = (sum of [begin, middle)) + (sum of [middle, end))
//
// where middle - begin is the largest power of two below end - begin. For R = 4 this is (g0 + g1) + (g2 +
// g3). A sum in the order of a line, ((g0 + g1) + g2) + g3, would also be fixed, but then a rank could not
// add its own parts before it has the sum of all parts before them.
#pragma once

#include <cstdint>
#include <vector>

namespace inkling {

struct PartRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const PartRange&) const = default;
};

// The parts of a rank. The numbers of parts of two ranks differ by at most one.
PartRange parts_of_rank(std::int64_t parts, int rank, int ranks);

// The two children of a node of the tree are [begin, middle) and [middle, end).
std::int64_t middle(PartRange node);

// Whether `range` is a node of the tree over all parts.
bool is_node(std::int64_t parts, PartRange range);

// The largest nodes of the tree that together are exactly `range`, in order. These are the sums that a rank
// with these parts can compute alone.
std::vector<PartRange> nodes_in(std::int64_t parts, PartRange range);

}  // namespace inkling
