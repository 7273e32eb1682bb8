// The sum of the gradients of all parts has the same bits on any number of ranks: it is the sum in the order
// of the tree in apps/ranks/parts.h.
#include "apps/ranks/gradient_sum.h"

#include <array>
#include <atomic>
#include <map>
#include <numeric>
#include <thread>

#include "apps/ranks/gather_shares.h"
#include "nn/gpt2.h"
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

// A buffer of n weights with chunks of 5,000, whose parts of the model alternate. So the weights of a bucket
// lie in several ranges.
std::vector<SegmentChunk> small_chunks(std::int64_t n) {
  std::vector<SegmentChunk> chunks;
  for (std::int64_t at = 0; at < n; at += 5000)
    chunks.push_back({at, std::min<std::int64_t>(5000, n - at), true});
  return chunks;
}
std::vector<LayerRange> alternating_layers(std::int64_t n) {
  std::vector<LayerRange> layers;
  const std::int64_t size = ceil_div(n, std::int64_t{10});
  for (std::int64_t at = 0; at < n; at += size)
    layers.push_back({layers.size() % 3, at, std::min(size, n - at)});
  return layers;
}

// How a rank adds its last part.
enum class Last {
  after_backward,  // with add()
  in_pieces,       // while backward completes it: ranges of 7,000 weights, in any order, on two threads
};

// Completes the ranges of a gradient on two threads, from both ends.
void complete_in_pieces(GradientSum& sum, std::span<float> gradients, std::span<const float> g) {
  const std::int64_t n = std::ssize(g), pieces = ceil_div(n, std::int64_t{7000});
  const auto complete = [&](std::int64_t first, std::int64_t step) {
    for (std::int64_t piece = first; piece >= 0 && piece < pieces; piece += step) {
      const std::int64_t begin = piece * 7000, end = std::min(n, begin + 7000);
      std::copy(g.begin() + begin, g.begin() + end, gradients.begin() + begin);
      sum.complete(gradients.data() + begin, end - begin);
    }
  };
  const std::int64_t last = pieces - 1;
  std::thread other([&] { complete(last, -2); });
  complete(last % 2 == 0 ? 1 : 0, 2);
  other.join();
}

std::vector<std::vector<float>> gradients_of(std::int64_t parts, std::int64_t n) {
  std::vector<std::vector<float>> gradients;
  for (std::int64_t part = 0; part < parts; ++part) gradients.push_back(gradient_of(part, n));
  return gradients;
}

// The sum of the gradients of all parts, by `ranks` ranks, after another sum. `sent` gets the number of bytes
// that the ranks send for one sum.
std::vector<float> summed(int ranks, const std::vector<std::vector<float>>& of_parts, Last how,
                          std::int64_t* sent = nullptr) {
  const std::int64_t parts = std::ssize(of_parts), n = std::ssize(of_parts.front());
  std::vector<float> result(static_cast<std::size_t>(n));
  const std::vector<SegmentChunk> chunks = small_chunks(n);
  const Shares shares = shares_of(chunks, alternating_layers(n), ranks);
  const std::int64_t bytes = on_ranks(ranks, [&](Ranks& r) {
    std::vector<float> gradients(static_cast<std::size_t>(n));
    GradientSum sum(r, parts, shares, gradients);
    for (int step = 0; step < 2; ++step) {
      for (std::int64_t part = sum.parts().begin; part < sum.parts().end; ++part) {
        std::vector<float> g = of_parts[static_cast<std::size_t>(part)];
        if (step == 0) std::ranges::for_each(g, [](float& x) { x = 1 - 3 * x; });  // another gradient
        if (how == Last::in_pieces && part + 1 == sum.parts().end) {
          sum.add_while(part, [&] { complete_in_pieces(sum, gradients, g); });
        } else {
          std::copy(g.begin(), g.end(), gradients.begin());
          sum.add(part);
        }
      }
      const float* total = sum.reduce();
      for (const WeightRange& mine : shares.of_rank[static_cast<std::size_t>(r.rank())].ranges)
        if (step == 1) std::copy(total + mine.begin, total + mine.end, result.begin() + mine.begin);
    }
  });
  if (sent != nullptr) *sent = bytes / 2;
  return result;
}

TEST_CASE("gradient sum: any number of ranks gives the bits of the sum in the order of the tree") {
  const RestoreThreads restore;
  // Below, at and above a bucket of each rank.
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{1000}, 3 * Bucket::kFloats + 7}) {
    for (const std::int64_t parts : {1, 2, 3, 4, 5, 8}) {
      const std::vector<std::vector<float>> gradients = gradients_of(parts, n);
      std::vector<float> want(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < want.size(); ++i) want[i] = tree_sum(gradients, i, {0, parts});
      for (int ranks = 1; ranks <= parts; ++ranks) {
        set_threads(ranks % 2 + 1);
        INFO("n " << n << ", parts " << parts << ", ranks " << ranks);
        CHECK((summed(ranks, gradients, Last::after_backward) == want));
        CHECK((summed(ranks, gradients, Last::in_pieces) == want));
      }
    }
  }
}

// Ranks that count the messages that were sent.
class CountingRanks final : public Ranks {
 public:
  explicit CountingRanks(Ranks& ranks) : ranks_(ranks) {}
  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  const std::string& host() const override { return ranks_.host(); }
  Transfer start_send(int to, std::span<const std::byte> message) override {
    const Transfer transfer = ranks_.start_send(to, message);
    ++sent;
    return transfer;
  }
  Transfer start_receive(int from, std::span<std::byte> message) override {
    return ranks_.start_receive(from, message);
  }
  void wait(Transfer transfer) override { ranks_.wait(transfer); }
  void abort(int status) override { ranks_.abort(status); }

  std::atomic<int> sent = 0;

 private:
  Ranks& ranks_;
};

TEST_CASE("gradient sum: a bucket leaves while backward still runs, as soon as its gradient is complete") {
  // The buffer has two parts of the model: the embeddings, then a layer.
  const std::int64_t half = 2 * Bucket::kFloats;
  std::vector<SegmentChunk> chunks;
  for (std::int64_t at = 0; at < 2 * half; at += Bucket::kFloats)
    chunks.push_back({at, Bucket::kFloats, true});
  const std::vector<LayerRange> layers = {{0, 0, half}, {1, half, half}};
  const Shares shares = shares_of(chunks, layers, 2);
  struct Seen {
    int before = 0, during = 0, after = 0;  // messages that the rank has sent
    bool right = true;
  };
  std::array<Seen, 2> seen;  // Catch's checks may run on one thread only
  on_ranks(2, [&](Ranks& r) {
    CountingRanks ranks(r);
    Seen& mine = seen[static_cast<std::size_t>(r.rank())];
    std::vector<float> gradients(static_cast<std::size_t>(2 * half), 1.0f);
    GradientSum sum(ranks, 2, shares, gradients);
    sum.add_while(r.rank(), [&] {
      sum.complete(gradients.data() + half, half - 1);
      mine.before = ranks.sent;
      sum.complete(gradients.data() + 2 * half - 1, 1);
      // Of the layer's two buckets, one is the other rank's.
      while (ranks.sent == 0) std::this_thread::yield();
      mine.during = ranks.sent;
    });
    const float* total = sum.reduce();
    mine.after = ranks.sent;
    for (const WeightRange& range : shares.of_rank[static_cast<std::size_t>(r.rank())].ranges)
      mine.right =
          mine.right && std::all_of(total + range.begin, total + range.end, [](float x) { return x == 2; });
  });
  for (const Seen& one : seen) {
    CHECK(one.before <= 1);  // the layer's first bucket may be complete and of the other rank
    CHECK(one.during == 1);
    CHECK(one.after == 2);
    CHECK(one.right);
  }
}

TEST_CASE("gradient sum: an error in backward ends the sum with this error") {
  const std::int64_t n = 4 * Bucket::kFloats;
  const Shares shares = shares_of(small_chunks(n), alternating_layers(n), 2);
  CHECK_THROWS_WITH(on_ranks(2,
                             [&](Ranks& r) {
                               std::vector<float> gradients(static_cast<std::size_t>(n));
                               GradientSum sum(r, 2, shares, gradients);
                               sum.add_while(r.rank(), [&] {
                                 sum.complete(gradients.data(), n);
                                 if (r.rank() == 1) fail("out of memory");
                               });
                               sum.reduce();
                             }),
                    contains("out of memory"));
}

TEST_CASE("gather shares: every rank gets the numbers of all shares") {
  // Most buckets have several ranges. The last bucket of some share is shorter than that of another share.
  const std::int64_t n = 9 * Bucket::kFloats + 7;
  const std::vector<float> whole = gradient_of(0, n);
  for (const int ranks : {1, 2, 3, 4}) {
    const Shares shares = shares_of(small_chunks(n), alternating_layers(n), ranks);
    std::atomic<int> right = 0;
    on_ranks(ranks, [&](Ranks& r) {
      std::vector<float> values(static_cast<std::size_t>(n), -1.0f);
      std::vector<std::int16_t> small(values.size(), -1), small_whole(values.size());
      std::iota(small_whole.begin(), small_whole.end(), std::int16_t{0});
      for (const WeightRange& mine : shares.of_rank[static_cast<std::size_t>(r.rank())].ranges) {
        std::copy(whole.begin() + mine.begin, whole.begin() + mine.end, values.begin() + mine.begin);
        std::copy(small_whole.begin() + mine.begin, small_whole.begin() + mine.end,
                  small.begin() + mine.begin);
      }
      GatherShares(r, shares, sizeof(float)).gather(std::as_writable_bytes(std::span(values)));
      GatherShares(r, shares, sizeof(std::int16_t)).gather(std::as_writable_bytes(std::span(small)));
      if (values == whole && small == small_whole) ++right;
    });
    CHECK(right == ranks);
  }
}

TEST_CASE("gradient sum: with a part on each rank, every rank sends all shares but its own") {
  for (const int ranks : {2, 3, 4}) {
    std::int64_t sent = 0;
    const std::int64_t n = 12 * Bucket::kFloats;
    summed(ranks, gradients_of(ranks, n), Last::in_pieces, &sent);
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
      const Shares shares = shares_of(chunks, std::vector<LayerRange>{{1, 0, 200}, {0, 200, 251}}, ranks);
      REQUIRE(std::ssize(shares.of_rank) == ranks);
      std::vector<int> owners(451, -1);
      for (int rank = 0; rank < ranks; ++rank) {
        const Share& share = shares.of_rank[static_cast<std::size_t>(rank)];
        std::int64_t size = 0, in_buckets = 0;
        for (const WeightRange& range : share.ranges) {
          size += range.size();
          for (std::int64_t i = range.begin; i < range.end; ++i) {
            CHECK(owners[static_cast<std::size_t>(i)] == -1);
            owners[static_cast<std::size_t>(i)] = rank;
          }
        }
        for (const Bucket& bucket : share.buckets) in_buckets += bucket.size;
        CHECK(size == share.size);
        CHECK(in_buckets == share.size);
      }
      for (std::size_t i = 0; i < chunks.size(); ++i) {
        for (std::int64_t w = chunks[i].offset; w < chunks[i].offset + chunks[i].count; ++w)
          CHECK(owners[static_cast<std::size_t>(w)] == shares.owners[i]);
      }
    }
  }
}

TEST_CASE("shares: each layer is divided evenly, and a share's buckets are in the order of backward") {
  GPT2 model({.max_seq_len = 64, .vocab_size = 5000, .layers = 3, .heads = 4, .channels = 256});
  const std::vector<LayerRange> layers = layer_ranges(model.parameters());
  const std::vector<SegmentChunk> chunks = cut_segments(segments_of(model.parameters().table()));
  for (const int ranks : {2, 3, 4}) {
    const Shares shares = shares_of(chunks, layers, ranks);
    const std::int64_t all = model.config().parameter_count();
    for (const Share& share : shares.of_rank) {
      CHECK(std::abs(share.size - all / ranks) <= SegmentChunk::kFloats);
      // The floats of each part of the model. A part of 256 channels has 12 * 256 * 256 floats or more.
      std::map<std::size_t, std::int64_t> of_part;
      std::size_t before = 100;
      for (const Bucket& bucket : share.buckets) {
        of_part[bucket.part] += bucket.size;
        CHECK(bucket.part <= before);
        before = bucket.part;
        CHECK(bucket.size <= Bucket::kFloats);
        CHECK((bucket.size == Bucket::kFloats || &bucket == &share.buckets.back()));
        std::size_t lowest = 100;
        for (const WeightRange& range : bucket.ranges) {
          for (const LayerRange& layer : layers) {
            if (layer.offset < range.end && layer.offset + layer.count > range.begin)
              lowest = std::min(lowest, layer.part);
          }
        }
        CHECK(bucket.part == lowest);
      }
      // A share has consecutive chunks of wte, which is the first tensor.
      CHECK(std::ranges::count_if(share.ranges, [](const WeightRange& r) { return r.begin < 5000 * 256; }) ==
            1);
      for (std::size_t part = 1; part <= 3; ++part)
        CHECK(std::abs(of_part[part] - 12 * 256 * 256 / ranks) <= 2 * SegmentChunk::kFloats);
    }
  }
}

}  // namespace
}  // namespace inkling
