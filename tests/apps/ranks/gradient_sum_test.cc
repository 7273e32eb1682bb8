// The sum of the gradients of all parts has the same bits on any number of ranks: it is the sum in the order
// of the tree in apps/ranks/parts.h.
#include "apps/ranks/gradient_sum.h"

#include <numeric>

#include "tests/core/ranks/thread_ranks.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The gradient of a part, whose numbers have very different sizes, so that another order gives other bits.
std::vector<float> gradient_of(std::int64_t part, std::int64_t n) {
  std::vector<float> g = random_floats(n, static_cast<std::uint64_t>(part) + 1);
  for (std::size_t i = 0; i < g.size(); ++i)
    g[i] *= (i + static_cast<std::size_t>(part)) % 3 == 0 ? 1e4f : 1e-2f;
  return g;
}

// The definition: a sum in the order of the tree, number by number.
float tree_sum(const std::vector<std::vector<float>>& gradients, std::size_t i, PartRange node) {
  if (node.size() == 1) return gradients[static_cast<std::size_t>(node.begin)][i];
  return tree_sum(gradients, i, {node.begin, middle(node)}) +
         tree_sum(gradients, i, {middle(node), node.end});
}

std::vector<Share> equal_shares(std::int64_t n, int ranks) {
  std::vector<Share> shares;
  for (int rank = 0; rank < ranks; ++rank) shares.push_back({n * rank / ranks, n * (rank + 1) / ranks});
  return shares;
}

// Two sums, one after the other, by `ranks` ranks. Returns the second sum.
std::vector<float> summed(int ranks, std::int64_t parts, std::int64_t n, std::int64_t* sent = nullptr) {
  std::vector<float> result(static_cast<std::size_t>(n));
  const std::vector<Share> shares = equal_shares(n, ranks);
  const std::int64_t bytes = on_ranks(ranks, [&](Ranks& r) {
    std::vector<float> gradients(static_cast<std::size_t>(n));
    GradientSum sum(r, parts, shares, gradients);
    for (int step = 0; step < 2; ++step) {
      for (std::int64_t part = sum.parts().begin; part < sum.parts().end; ++part) {
        const std::vector<float> g = gradient_of(part + 100 * (1 - step), n);
        std::copy(g.begin(), g.end(), gradients.begin());
        sum.add(part);
      }
      const float* total = sum.reduce();
      const Share mine = shares[static_cast<std::size_t>(r.rank())];
      if (step == 1) std::copy(total + mine.begin, total + mine.end, result.begin() + mine.begin);
    }
  });
  if (sent != nullptr) *sent = bytes / 2;
  return result;
}

TEST_CASE("gradient sum: any number of ranks gives the bits of the sum in the order of the tree") {
  const RestoreThreads restore;
  // Below, at and above a bucket of each rank.
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{1000}, 3 * Share::kBucketFloats + 7}) {
    for (const std::int64_t parts : {1, 2, 3, 4, 5, 8}) {
      std::vector<std::vector<float>> gradients;
      for (std::int64_t part = 0; part < parts; ++part) gradients.push_back(gradient_of(part, n));
      std::vector<float> want(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < want.size(); ++i) want[i] = tree_sum(gradients, i, {0, parts});
      for (int ranks = 1; ranks <= parts; ++ranks) {
        set_threads(ranks % 2 + 1);
        INFO("n " << n << ", parts " << parts << ", ranks " << ranks);
        CHECK((summed(ranks, parts, n) == want));
      }
    }
  }
}

TEST_CASE("gradient sum: with a part on each rank, every rank sends all shares but its own") {
  for (const int ranks : {2, 3, 4}) {
    std::int64_t sent = 0;
    const std::int64_t n = 12 * Share::kBucketFloats;
    summed(ranks, ranks, n, &sent);
    CHECK(sent == (ranks - 1) * n * 4);
  }
}

TEST_CASE("parts: each part is on one rank, and the ranks have consecutive parts") {
  for (std::int64_t parts = 1; parts <= 9; ++parts) {
    for (int ranks = 1; ranks <= parts; ++ranks) {
      std::int64_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const PartRange mine = parts_of_rank(parts, rank, ranks);
        CHECK(mine.begin == next);
        CHECK(mine.size() >= parts / ranks);
        CHECK(mine.size() <= ceil_div(parts, ranks));
        next = mine.end;
      }
      CHECK(next == parts);
    }
  }
}

TEST_CASE("parts: the nodes inside of a range are the largest ones, in order") {
  using Nodes = std::vector<PartRange>;
  CHECK(nodes_in(4, {0, 4}) == Nodes{{0, 4}});
  CHECK(nodes_in(4, {1, 4}) == Nodes{{1, 2}, {2, 4}});
  CHECK(nodes_in(8, {3, 7}) == Nodes{{3, 4}, {4, 6}, {6, 7}});
  CHECK(nodes_in(5, {3, 5}) == Nodes{{3, 4}, {4, 5}});
  CHECK(is_node(6, {4, 6}));
  CHECK_FALSE(is_node(6, {3, 5}));
}

TEST_CASE("shares: all weights belong to a rank, in whole chunks, also with more ranks than chunks") {
  // In the second model, one chunk is larger than the shares of several ranks.
  for (const std::vector<SegmentChunk>& chunks :
       {std::vector<SegmentChunk>{{0, 100, true}, {100, 1, false}, {101, 300, true}, {401, 50, true}},
        std::vector<SegmentChunk>{{0, 10, true}, {10, 441, true}}}) {
    for (int ranks = 1; ranks <= 6; ++ranks) {
      const std::vector<Share> shares = shares_of(chunks, ranks);
      REQUIRE(std::ssize(shares) == ranks);
      std::int64_t next = 0, owned = 0;
      for (const Share& share : shares) {
        CHECK(share.begin == next);
        next = share.end;
        for (const SegmentChunk& chunk : chunks) owned += share.contains(chunk) ? chunk.count : 0;
      }
      CHECK(next == 451);
      CHECK(owned == 451);
    }
  }
}

}  // namespace
}  // namespace inkling
