// Exchanges in which all ranks take part. Every rank must call the same functions in the same order.
//
// They are made of messages between two ranks, and they only move bytes. A caller that needs a sum gathers
// the terms and adds them in the order of the ranks, so that the sum has the same bits on every rank.
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/ranks/ranks.h"

namespace inkling {

// all has room for sizes[0] + sizes[1] + ... bytes: the messages of all ranks, in the order of the ranks. The
// caller has put this rank's own message at its place. Afterwards all messages are there.
void gather_bytes(Ranks& ranks, std::span<std::byte> all, std::span<const std::int64_t> sizes);

// Sends rank 0's bytes to all other ranks, in parts of any length.
void broadcast_bytes(Ranks& ranks, std::span<std::byte> bytes);

// The elements of all ranks, in the order of the ranks. Rank r contributes counts[r] elements.
template <class T>
std::vector<T> gather(Ranks& ranks, std::span<const T> mine, std::span<const std::int64_t> counts) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<std::int64_t> sizes(counts.begin(), counts.end());
  const std::int64_t before = std::accumulate(counts.begin(), counts.begin() + ranks.rank(), std::int64_t{0});
  std::vector<T> all(
      static_cast<std::size_t>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0})));
  std::copy(mine.begin(), mine.end(), all.begin() + before);
  for (std::int64_t& size : sizes) size *= static_cast<std::int64_t>(sizeof(T));
  gather_bytes(ranks, std::as_writable_bytes(std::span(all)), sizes);
  return all;
}

// The same for one element of each rank.
template <class T>
std::vector<T> gather(Ranks& ranks, const T& mine) {
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(ranks.size()), 1);
  return gather<T>(ranks, std::span(&mine, 1), ones);
}

std::vector<std::string> gather_texts(Ranks& ranks, const std::string& mine);
std::string broadcast_text(Ranks& ranks, const std::string& of_rank_0);
bool any(Ranks& ranks, bool mine);  // whether it is true on any rank

}  // namespace inkling
