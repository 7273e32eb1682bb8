#include "apps/ranks/optimizer_state.h"

#include <algorithm>

#include "apps/run/optimizer_file.h"
#include "core/error.h"

namespace inkling {

namespace {

// Calls f(begin, count) for each bucket of a piece, in order.
template <class F>
void for_each_bucket(const StatePiece& piece, F f) {
  for (std::int64_t begin = 0; begin < piece.count; begin += Bucket::kFloats)
    f(static_cast<std::size_t>(begin),
      static_cast<std::size_t>(std::min(Bucket::kFloats, piece.count - begin)));
}

// Calls f(values) for each bucket of the pieces that this rank has.
template <class F>
void for_each_own_bucket(const RunState& state, const Ranks& ranks, F f) {
  for (const StatePiece& piece : state.pieces) {
    if (piece.rank != ranks.rank()) continue;
    for_each_bucket(piece,
                    [&](std::size_t begin, std::size_t count) { f(piece.values.subspan(begin, count)); });
  }
}

}  // namespace

RunState state_in_shares(Optimizer& optimizer, const Ranks& ranks, const Shares& shares) {
  struct Owned {
    WeightRange range;
    int rank;
  };
  std::vector<Owned> all;  // the ranges of all ranks, in the order of the file
  for (int rank = 0; rank < ranks.size(); ++rank) {
    for (const WeightRange& range : shares.of_rank[static_cast<std::size_t>(rank)].ranges)
      all.push_back({range, rank});
  }
  std::sort(all.begin(), all.end(),
            [](const Owned& a, const Owned& b) { return a.range.begin < b.range.begin; });
  const auto arrays = optimizer.state();
  RunState state{.arrays = arrays.size(), .length = all.back().range.end, .pieces = {}};
  for (const Optimizer::State& array : arrays) {
    for (const auto& [range, rank] : all) {
      StatePiece piece{array.name, rank, range.size(), {}};
      if (rank == ranks.rank())
        piece.values = array.values.subspan(static_cast<std::size_t>(range.begin),
                                            static_cast<std::size_t>(range.size()));
      state.pieces.push_back(piece);
    }
  }
  return state;
}

RunState whole_state(Optimizer& optimizer) {
  const auto arrays = optimizer.state();
  RunState state{.arrays = arrays.size(), .length = 0, .pieces = {}};
  for (const Optimizer::State& array : arrays) {
    state.length = std::ssize(array.values);
    state.pieces.push_back({array.name, 0, state.length, array.values});
  }
  return state;
}

void save_state(const std::string& path, const RunState& state, Ranks& ranks) {
  AtomicFile file(path);
  write_optimizer_header(file, state.arrays, static_cast<std::uint64_t>(state.length));
  std::vector<float> arriving(static_cast<std::size_t>(Bucket::kFloats));
  const auto write = [&](std::span<const float> values) {
    file.write(values.data(), static_cast<std::int64_t>(values.size_bytes()));
  };
  for (const StatePiece& piece : state.pieces) {
    if (piece.rank == 0) {
      write(piece.values);
      continue;
    }
    for_each_bucket(piece, [&](std::size_t, std::size_t count) {
      const std::span<float> values(arriving.data(), count);
      ranks.wait(ranks.start_receive(piece.rank, std::as_writable_bytes(values)));
      write(values);
    });
  }
  file.commit(FolderSync::by_caller);
}

void send_state(const RunState& state, Ranks& ranks) {
  for_each_own_bucket(
      state, ranks, [&](std::span<float> values) { ranks.wait(ranks.start_send(0, std::as_bytes(values))); });
}

void load_state(const std::string& path, const RunState& state, Ranks& ranks) {
  const FileView file(path);
  ByteReader in(file);
  read_optimizer_header(in, state.arrays, static_cast<std::uint64_t>(state.length));
  for (const StatePiece& piece : state.pieces) {
    if (piece.rank == 0) {
      in.read_into(piece.values.data(), piece.count, piece.name);
      continue;
    }
    for_each_bucket(piece, [&](std::size_t, std::size_t count) {
      const auto bytes = static_cast<std::int64_t>(count * sizeof(float));
      ranks.wait(ranks.start_send(piece.rank, in.take(bytes, piece.name)));
    });
  }
  in.expect_end("optimiser state");
}

void receive_state(const RunState& state, Ranks& ranks) {
  for_each_own_bucket(state, ranks, [&](std::span<float> values) {
    ranks.wait(ranks.start_receive(0, std::as_writable_bytes(values)));
  });
}

}  // namespace inkling
