#include "apps/tokenizer/bpe.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "apps/tokenizer/pieces.h"

namespace inkling {

namespace {

constexpr std::size_t kTestedPairs = 1024;
constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

std::size_t index(std::int32_t id) {
  return static_cast<std::size_t>(id);
}

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

// Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): the high bits depend on all bits of x.
std::uint64_t spread(std::uint64_t x) {
  return x * 0x9e3779b97f4a7c15;
}

}  // namespace

void BpeTable::PairMap::insert(std::int32_t first, std::int32_t second, std::int32_t value) {
  if (++count_ * 2 > slots_.size()) {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    --shift_;
    for (const Slot& slot : old)
      if (slot.first != kNone) place(slot);
  }
  place({first, second, value});
}

void BpeTable::PairMap::place(const Slot& slot) {
  std::size_t i = spread(pair_key(slot.first, slot.second)) >> shift_;
  while (slots_[i].first != kNone) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = slot;
}

std::int32_t BpeTable::PairMap::find(std::int32_t first, std::int32_t second) const {
  for (std::size_t i = spread(pair_key(first, second)) >> shift_;; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].first == first && slots_[i].second == second) return slots_[i].value;
    if (slots_[i].first == kNone) return kNone;
  }
}

BpeTable::BpeTable(std::span<const std::string> tokens, std::int32_t end_of_text)
    : merges_(tokens.size()), shorter_(tokens.size(), kNone), lengths_(tokens.size()) {
  insert_into_trie(tokens, end_of_text);
  // The order of the ids is the order of the merges: each token is merged from earlier tokens.
  for (std::int32_t id = 0; id < vocab_size(); ++id)
    if (length(id) > 1) find_merge(id, tokens[index(id)]);
  for (std::int32_t id = 0; id < vocab_size(); ++id) {
    if (length(id) > 1)
      shorter_[index(id)] = longest_match(std::string_view(tokens[index(id)]).substr(0, length(id) - 1));
  }
  collect_whole_pieces(tokens);
}

void BpeTable::insert_into_trie(std::span<const std::string> tokens, std::int32_t end_of_text) {
  // The node of a complete token has the token's id, and other nodes have numbers from vocab_size() on. A
  // node gets its number when it is created. Short tokens are inserted first, so that the node of a token is
  // created by the token itself, not by a longer token that begins with it.
  std::vector<std::int32_t> by_length(tokens.size());
  std::iota(by_length.begin(), by_length.end(), 0);
  std::stable_sort(by_length.begin(), by_length.end(), [&](std::int32_t a, std::int32_t b) {
    return tokens[index(a)].size() < tokens[index(b)].size();
  });
  std::int32_t next_node = vocab_size();
  for (const std::int32_t id : by_length) {
    if (id == end_of_text) continue;
    const std::string& token = tokens[index(id)];
    std::int32_t node = kNone;
    for (std::size_t k = 0; k < token.size(); ++k) {
      const auto byte = static_cast<unsigned char>(token[k]);
      std::int32_t child = k == 0 ? roots_[byte] : children_.find(node, byte);
      if (child == kNone) {
        const bool last = k + 1 == token.size();
        child = last ? id : next_node++;
        if (last) lengths_[index(id)] = static_cast<std::uint8_t>(token.size());
        if (k == 0)
          roots_[byte] = child;
        else
          children_.insert(node, byte, child);
      }
      node = child;
    }
  }
}

// Finds the two tokens that are merged to this token: the encoding of its bytes by the tokens before it. If
// this encoding has more than two tokens, the token is never used.
void BpeTable::find_merge(std::int32_t id, std::string_view bytes) {
  lengths_[index(id)] = 0;
  for (std::int32_t left = longest_match(bytes, id); left != kNone;) {
    const std::string_view rest = bytes.substr(length(left));
    const std::int32_t right = longest_match(rest, id);
    if (right != kNone && length(right) == rest.size() && fit(left, right)) {
      merges_[index(id)] = {left, right};
      joined_.insert(left, right, id);
      lengths_[index(id)] = static_cast<std::uint8_t>(bytes.size());
      return;
    }
    left = length(left) == 1 ? kNone : longest_match(bytes.substr(0, length(left) - 1), id);
  }
}

// Two of the cache's entries may be in each other's way: tokens with lower ids are more frequent and stay.
void BpeTable::collect_whole_pieces(std::span<const std::string> tokens) {
  for (std::int32_t id = vocab_size() - 1; id >= 0; --id) {
    const std::string& token = tokens[index(id)];
    if (length(id) == 0 || token.size() > PieceCache::kLongestPiece) continue;
    whole_pieces_.insert(PieceCache::key_of(token, token.size()), std::span(&id, 1));
  }
}

// Considers the tokens with ids below `below`, and all bytes.
std::int32_t BpeTable::longest_match(std::string_view text, std::int32_t below) const {
  if (text.empty()) return kNone;
  std::int32_t node = roots_[static_cast<unsigned char>(text[0])];
  std::int32_t longest = node < vocab_size() ? node : kNone;
  for (std::size_t k = 1; k < text.size() && node != kNone; ++k) {
    node = children_.find(node, static_cast<unsigned char>(text[k]));
    if (node != kNone && node < below && length(node) > 0) longest = node;
  }
  return longest;
}

// The time at which a token is merged is its id. Single bytes exist from the start: -1.
std::int64_t BpeTable::made_at(std::int32_t id) const {
  return merge_of(id).left == kNone ? -1 : id;
}

// `left` and `right` are the tokens at the border, in the state just before the merges at time `until`. A
// pair across the border that joins to a token before `until` is merged: the border is crossed. At equal
// times, the leftmost pair is merged first: the next merge on the left side comes before the pair across the
// border, and the next merge on the right side comes after it.
bool BpeTable::fit(std::int32_t left, std::int32_t right) const {
  std::int64_t until = std::numeric_limits<std::int64_t>::max();
  for (;;) {
    const std::int32_t across = joined_.find(left, right);
    if (across != kNone && across < until) return false;
    const std::int64_t left_made = made_at(left), right_made = made_at(right);
    if (left_made < 0 && right_made < 0) return true;
    // Undo the later of the two merges. If both are merges of one id, the right one is later.
    if (left_made > right_made) {
      until = left_made;
      left = merge_of(left).right;
    } else {
      until = right_made + 1;
      right = merge_of(right).left;
    }
  }
}

BpeEncoder::BpeEncoder(const BpeTable& table)
    : table_(&table), cache_(table.whole_pieces()), tested_(kTestedPairs, {kNoPair, false}) {}

bool BpeEncoder::fit(std::int32_t left, std::int32_t right) {
  const std::uint64_t pair = pair_key(left, right);
  Tested& tested = tested_[(spread(pair) >> 32) % kTestedPairs];
  if (tested.pair != pair) tested = {pair, table_->fit(left, right)};
  return tested.fits;
}

std::size_t BpeEncoder::encode_piece(std::string_view piece, std::vector<std::int32_t>& ids) {
  const std::size_t first = ids.size();
  dead_ends_.assign(piece.size() / 64 + 1, 0);
  const auto is_dead_end = [&](std::size_t at) { return (dead_ends_[at / 64] >> (at % 64) & 1) != 0; };
  std::size_t at = 0;
  std::int32_t token = table_->longest_match(piece);
  while (at < piece.size()) {
    if (token == BpeTable::kNone) {
      // A longer token is merged from single bytes. So if this byte has no token, none begins here.
      if (table_->longest_match(piece.substr(at, 1)) == BpeTable::kNone) break;
      // No token fits here: go back one token, and try a shorter one there.
      dead_ends_[at / 64] |= std::uint64_t{1} << (at % 64);
      token = ids.back();
      ids.pop_back();
      at -= table_->length(token);
      token = table_->shorter(token);
      continue;
    }
    const std::size_t end = at + table_->length(token);
    if (!is_dead_end(end) && (ids.size() == first || fit(ids.back(), token))) {
      ids.push_back(token);
      at = end;
      token = table_->longest_match(piece.substr(at));
    } else {
      token = table_->shorter(token);
    }
  }
  return at;
}

std::size_t BpeEncoder::encode(std::string_view text, std::vector<std::int32_t>& ids) {
  // A token has at least one byte, so this is enough room. The loop writes kMostTokens ids at a time.
  std::size_t count = ids.size(), at = 0;
  ids.resize(count + text.size() + PieceCache::kMostTokens);
  const auto append_piece = [&](std::string_view piece) {
    piece_ids_.clear();
    const std::size_t encoded = encode_piece(piece, piece_ids_);
    std::copy(piece_ids_.begin(), piece_ids_.end(), ids.begin() + static_cast<std::ptrdiff_t>(count));
    count += piece_ids_.size();
    at += encoded;
    return encoded == piece.size();
  };
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const std::string_view piece = rest.substr(0, piece_length(rest));
    if (piece.size() > PieceCache::kLongestPiece) {
      if (!append_piece(piece)) break;
      continue;
    }
    const PieceCache::Key key = PieceCache::key_of(piece, rest.size());
    if (const PieceCache::Entry* entry = cache_.find(key)) {
      std::memcpy(ids.data() + count, entry->ids.data(), sizeof entry->ids);
      count += static_cast<std::size_t>(entry->count);
      at += piece.size();
      continue;
    }
    if (!append_piece(piece)) break;
    cache_.insert(key, piece_ids_);
  }
  ids.resize(count);
  return at;
}

}  // namespace inkling
