#include "apps/chat/packing.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

std::vector<std::vector<std::size_t>> pack_best_fit(std::span<const std::int64_t> lengths,
                                                    std::int64_t room) {
  std::vector<std::size_t> longest_first(lengths.size());
  std::iota(longest_first.begin(), longest_first.end(), std::size_t{0});
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<std::size_t>> rows;
  std::map<std::int64_t, std::vector<std::size_t>> rows_with_room;
  for (const std::size_t i : longest_first) {
    const std::int64_t length = lengths[i];
    if (length < 1 || length > room) fail("packing: length ", i, " is ", length, ", expected 1 .. ", room);
    std::size_t row = rows.size();
    std::int64_t left = room;
    if (const auto best = rows_with_room.lower_bound(length); best != rows_with_room.end()) {
      left = best->first;
      row = best->second.back();
      best->second.pop_back();
      if (best->second.empty()) rows_with_room.erase(best);
    } else {
      rows.emplace_back();
    }
    rows[row].push_back(i);
    if (left > length) rows_with_room[left - length].push_back(row);
  }
  for (auto& row : rows) std::sort(row.begin(), row.end());
  std::sort(rows.begin(), rows.end());
  return rows;
}

PackedShardWriter::PackedShardWriter(const std::string& path, std::int64_t vocab_size,
                                     std::int32_t end_of_text, std::int64_t T, std::int64_t group_tokens)
    : shard_(path, vocab_size),
      mask_(kLossMask, flags_beside(kLossMask, path)),
      starts_(kDocumentStarts, flags_beside(kDocumentStarts, path), T),
      end_of_text_(end_of_text),
      T_(T),
      group_tokens_(group_tokens) {
  if (T < 1) fail("packing: T is ", T, ", expected at least 1");
}

void PackedShardWriter::add(ChatTokens conversation) {
  const std::vector<std::int32_t>& ids = conversation.ids;
  const std::int64_t n = std::ssize(ids);
  if (n < 2 || n > T_ + 1)
    fail("packing: a conversation has ", format_number_of(n, "token"), ", expected 2 .. T+1=", T_ + 1);
  if (ids.front() != end_of_text_ || ids.back() != end_of_text_)
    fail("packing: a conversation begins with token ", ids.front(), " and ends with ", ids.back(),
         ", expected end-of-text, ", end_of_text_);
  ++conversations_;
  tokens_in_group_ += n;
  group_.push_back(std::move(conversation));
  if (tokens_in_group_ >= group_tokens_) write_group();
}

void PackedShardWriter::write_group() {
  std::vector<std::int64_t> lengths;
  for (const ChatTokens& conversation : group_) lengths.push_back(std::ssize(conversation.ids));
  for (const auto& row : pack_best_fit(lengths, T_ + 1)) write_row(row);
  group_.clear();
  tokens_in_group_ = 0;
}

// Writes the first T tokens of a row. Its last token is the first token of the next row.
void PackedShardWriter::write_row(std::span<const std::size_t> conversations) {
  const auto length = static_cast<std::size_t>(T_ + 1);
  row_.ids.clear(), row_.counted.clear(), row_starts_.clear();
  for (const std::size_t i : conversations) {
    const ChatTokens& conversation = group_[i];
    row_starts_.push_back(1);
    row_.ids.insert(row_.ids.end(), conversation.ids.begin(), conversation.ids.end());
    row_.counted.insert(row_.counted.end(), conversation.counted.begin(), conversation.counted.end());
    row_starts_.resize(row_.ids.size(), 0);
  }
  if (row_.ids.size() < length) row_starts_.push_back(1);
  row_.ids.resize(length, end_of_text_);
  row_.counted.resize(length, 0);
  row_starts_.resize(length, 0);

  counted_ += std::count(row_.counted.begin(), row_.counted.end(), std::uint8_t{1});
  row_.counted.front() = shared_counted_;  // as a target, the first token belongs to the row before
  shared_counted_ = row_.counted.back();
  const auto T = static_cast<std::size_t>(T_);
  shard_.append(std::span(row_.ids).first(T));
  mask_.append(std::span(row_.counted).first(T));
  starts_.append(std::span(row_starts_).first(T));
  ++rows_;
}

void PackedShardWriter::commit() {
  write_group();
  if (rows_ == 0) fail("packing: there is no conversation to write, expected at least one");
  const std::uint8_t begins = 1;
  shard_.append(std::span(&end_of_text_, 1));
  mask_.append(std::span(&shared_counted_, 1));
  starts_.append(std::span(&begins, 1));
  // The shard comes last, so that it never stands beside flags of another shard.
  mask_.commit();
  starts_.commit();
  shard_.commit();
}

}  // namespace inkling
