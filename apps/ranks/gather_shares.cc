#include "apps/ranks/gather_shares.h"

#include <algorithm>
#include <vector>

namespace inkling {

GatherShares::GatherShares(Ranks& ranks, const Shares& shares, std::size_t number_bytes)
    : ranks_(ranks),
      shares_(shares),
      number_bytes_(number_bytes),
      messages_(2 * shares.of_rank.size() * static_cast<std::size_t>(Bucket::kFloats) * number_bytes) {}

std::span<std::byte> GatherShares::bytes_of(std::span<std::byte> values, const WeightRange& range) const {
  return values.subspan(static_cast<std::size_t>(range.begin) * number_bytes_,
                        static_cast<std::size_t>(range.size()) * number_bytes_);
}

// The memory of the message with a rank's bucket. Two consecutive buckets have different memory.
std::span<std::byte> GatherShares::message(std::span<std::byte> values, const Bucket& bucket,
                                           std::size_t rank, std::size_t number) const {
  if (bucket.ranges.size() == 1) return bytes_of(values, bucket.ranges.front());
  const std::size_t place = number % 2 * shares_.of_rank.size() + rank;
  return {messages_.data() + place * static_cast<std::size_t>(Bucket::kFloats) * number_bytes_,
          static_cast<std::size_t>(bucket.size) * number_bytes_};
}

void GatherShares::pack(std::span<std::byte> values, const Bucket& bucket,
                        std::span<std::byte> message) const {
  if (bucket.ranges.size() == 1) return;
  auto to = message.begin();
  for (const WeightRange& range : bucket.ranges) to = std::ranges::copy(bytes_of(values, range), to).out;
}

void GatherShares::unpack(std::span<const std::byte> message, const Bucket& bucket,
                          std::span<std::byte> values) const {
  if (bucket.ranges.size() == 1) return;
  for (const WeightRange& range : bucket.ranges) {
    const std::span<std::byte> to = bytes_of(values, range);
    std::ranges::copy(message.first(to.size()), to.begin());
    message = message.subspan(to.size());
  }
}

void GatherShares::gather(std::span<std::byte> values) {
  const auto me = static_cast<std::size_t>(ranks_.rank());
  const auto has = [&](std::size_t rank, std::size_t number) {
    return number < shares_.of_rank[rank].buckets.size();
  };
  const auto bucket = [&](std::size_t rank, std::size_t number) -> const Bucket& {
    return shares_.of_rank[rank].buckets[number];
  };
  std::vector<Ranks::Transfer> transfers, earlier;
  const std::size_t numbers = shares_.most_buckets();
  for (std::size_t number = 0; number <= numbers; ++number) {
    if (has(me, number)) pack(values, bucket(me, number), message(values, bucket(me, number), me, number));
    for (std::size_t other = 0; other < shares_.of_rank.size(); ++other) {
      if (other == me) continue;
      const int rank = static_cast<int>(other);
      if (has(other, number))
        transfers.push_back(
            ranks_.start_receive(rank, message(values, bucket(other, number), other, number)));
      if (has(me, number))
        transfers.push_back(ranks_.start_send(rank, message(values, bucket(me, number), me, number)));
    }
    for (const Ranks::Transfer transfer : earlier) ranks_.wait(transfer);
    earlier.swap(transfers);
    transfers.clear();
    if (number == 0) continue;
    for (std::size_t other = 0; other < shares_.of_rank.size(); ++other) {
      if (other == me || !has(other, number - 1)) continue;
      const Bucket& arrived = bucket(other, number - 1);
      unpack(message(values, arrived, other, number - 1), arrived, values);
    }
  }
}

}  // namespace inkling
