#include "core/ranks/collectives.h"

#include <algorithm>

namespace inkling {

namespace {

// A broadcast of a model is cut into messages of this size, so that no message is too large.
constexpr std::size_t kPart = std::size_t{1} << 22;

}  // namespace

void gather_bytes(Ranks& ranks, std::span<std::byte> all, std::span<const std::int64_t> sizes) {
  std::vector<Ranks::Transfer> transfers;
  const auto me = static_cast<std::size_t>(ranks.rank());
  const auto offset = [&](std::size_t rank) {
    return std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(rank), std::int64_t{0});
  };
  const auto part = [&](std::size_t rank) {
    return all.subspan(static_cast<std::size_t>(offset(rank)), static_cast<std::size_t>(sizes[rank]));
  };
  for (std::size_t other = 0; other < sizes.size(); ++other) {
    if (other == me) continue;
    if (sizes[other] > 0) transfers.push_back(ranks.start_receive(static_cast<int>(other), part(other)));
    if (sizes[me] > 0) transfers.push_back(ranks.start_send(static_cast<int>(other), part(me)));
  }
  for (const Ranks::Transfer transfer : transfers) ranks.wait(transfer);
}

void broadcast_bytes(Ranks& ranks, std::span<std::byte> bytes) {
  std::vector<Ranks::Transfer> transfers;
  for (std::size_t begin = 0; begin < bytes.size(); begin += kPart) {
    const std::span<std::byte> part = bytes.subspan(begin, std::min(kPart, bytes.size() - begin));
    transfers.clear();
    if (!ranks.leads()) transfers.push_back(ranks.start_receive(0, part));
    for (int other = 1; ranks.leads() && other < ranks.size(); ++other)
      transfers.push_back(ranks.start_send(other, part));
    for (const Ranks::Transfer transfer : transfers) ranks.wait(transfer);
  }
}

std::vector<std::string> gather_texts(Ranks& ranks, const std::string& mine) {
  const std::vector<std::int64_t> sizes = gather(ranks, std::ssize(mine));
  const std::vector<char> all = gather<char>(ranks, std::span(mine.data(), mine.size()), sizes);
  std::vector<std::string> texts;
  auto next = all.begin();
  for (const std::int64_t size : sizes) {
    texts.emplace_back(next, next + size);
    next += size;
  }
  return texts;
}

std::string broadcast_text(Ranks& ranks, const std::string& of_rank_0) {
  std::int64_t size = std::ssize(of_rank_0);
  broadcast_bytes(ranks, std::as_writable_bytes(std::span(&size, 1)));
  std::string text = ranks.leads() ? of_rank_0 : std::string(static_cast<std::size_t>(size), ' ');
  broadcast_bytes(ranks, std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

bool any(Ranks& ranks, bool mine) {
  if (ranks.size() == 1) return mine;
  const std::vector<std::uint8_t> all = gather(ranks, static_cast<std::uint8_t>(mine));
  return std::any_of(all.begin(), all.end(), [](std::uint8_t one) { return one != 0; });
}

}  // namespace inkling
