#include "apps/ranks/parts.h"

#include <bit>

namespace inkling {

namespace {

void collect(PartRange node, PartRange range, std::vector<PartRange>& nodes) {
  if (node.end <= range.begin || node.begin >= range.end) return;
  if (node.begin >= range.begin && node.end <= range.end) {
    nodes.push_back(node);
    return;
  }
  collect({node.begin, middle(node)}, range, nodes);
  collect({middle(node), node.end}, range, nodes);
}

}  // namespace

PartRange parts_of_rank(std::int64_t parts, int rank, int ranks) {
  return {parts * rank / ranks, parts * (rank + 1) / ranks};
}

std::int64_t middle(PartRange node) {
  return node.begin + static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(node.size() - 1)));
}

bool is_node(std::int64_t parts, PartRange range) {
  const std::vector<PartRange> nodes = nodes_in(parts, range);
  return nodes.size() == 1 && nodes.front() == range;
}

std::vector<PartRange> nodes_in(std::int64_t parts, PartRange range) {
  std::vector<PartRange> nodes;
  collect({0, parts}, range, nodes);
  return nodes;
}

}  // namespace inkling
