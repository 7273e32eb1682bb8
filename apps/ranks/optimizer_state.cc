#include "apps/ranks/optimizer_state.h"

#include <algorithm>
#include <vector>

#include "apps/run/optimizer_file.h"

namespace inkling {

namespace {

// Calls f(bucket) for each bucket of a share, in order.
template <class F>
void for_each_bucket(const Share& share, F f) {
  for (std::int64_t number = 0; number < share.buckets(); ++number) f(share.bucket(number));
}

template <class T>
std::span<T> part(std::span<T> values, const Share& bucket) {
  return values.subspan(static_cast<std::size_t>(bucket.begin), static_cast<std::size_t>(bucket.size()));
}

const Share& own(const Ranks& ranks, std::span<const Share> shares) {
  return shares[static_cast<std::size_t>(ranks.rank())];
}

}  // namespace

void save_optimizer(const std::string& path, Optimizer& optimizer, Ranks& ranks,
                    std::span<const Share> shares) {
  if (ranks.size() == 1) return save_optimizer(path, optimizer, FolderSync::by_caller);
  const auto arrays = optimizer.state();
  AtomicFile file(path);
  write_optimizer_header(file, arrays.size(), static_cast<std::uint64_t>(shares.back().end));
  std::vector<float> arriving(static_cast<std::size_t>(Share::kBucketFloats));
  for (const Optimizer::State& array : arrays) {
    for (int rank = 0; rank < ranks.size(); ++rank) {
      for_each_bucket(shares[static_cast<std::size_t>(rank)], [&](const Share& bucket) {
        std::span<float> values(arriving.data(), static_cast<std::size_t>(bucket.size()));
        if (rank == 0) {
          values = part(array.values, bucket);
        } else {
          ranks.wait(ranks.start_receive(rank, std::as_writable_bytes(values)));
        }
        file.write(values.data(), static_cast<std::int64_t>(values.size_bytes()));
      });
    }
  }
  file.commit(FolderSync::by_caller);
}

void send_optimizer(Optimizer& optimizer, Ranks& ranks, std::span<const Share> shares) {
  for (const Optimizer::State& array : optimizer.state()) {
    for_each_bucket(own(ranks, shares), [&](const Share& bucket) {
      ranks.wait(ranks.start_send(0, std::as_bytes(part(array.values, bucket))));
    });
  }
}

void load_optimizer(const std::string& path, Optimizer& optimizer, Ranks& ranks,
                    std::span<const Share> shares) {
  if (ranks.size() == 1) return load_optimizer(path, optimizer);
  const FileView file(path);
  ByteReader in(file);
  const auto arrays = optimizer.state();
  read_optimizer_header(in, arrays.size(), static_cast<std::uint64_t>(shares.back().end));
  for (const Optimizer::State& array : arrays) {
    for (int rank = 0; rank < ranks.size(); ++rank) {
      for_each_bucket(shares[static_cast<std::size_t>(rank)], [&](const Share& bucket) {
        const std::span<const std::byte> bytes =
            in.take(bucket.size() * std::int64_t{sizeof(float)}, array.name);
        if (rank > 0) return ranks.wait(ranks.start_send(rank, bytes));
        std::memcpy(part(array.values, bucket).data(), bytes.data(), bytes.size());
      });
    }
  }
  in.expect_end("optimiser state");
}

void receive_optimizer(Optimizer& optimizer, Ranks& ranks, std::span<const Share> shares) {
  for (const Optimizer::State& array : optimizer.state()) {
    for_each_bucket(own(ranks, shares), [&](const Share& bucket) {
      ranks.wait(ranks.start_receive(0, std::as_writable_bytes(part(array.values, bucket))));
    });
  }
}

}  // namespace inkling
