// PieceCache: the encodings of short pieces of text. Few different pieces make most of a text, so most pieces
// are found here and need no search.
//
// The cache has a fixed size, 2 MB. A piece has two places where it may be; a new piece takes the first of
// them, and its content moves to the second one.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace inkling {

class PieceCache {
 public:
  static constexpr std::size_t kLongestPiece = 15;  // in bytes
  static constexpr std::size_t kMostTokens = 3;     // of a piece

  // The bytes of a piece and, in the last byte, its length. So no piece has the key of an empty entry, 0.
  using Key = std::array<std::uint64_t, 2>;

  struct Entry {
    Key key = {};
    std::int32_t count = 0;
    std::array<std::int32_t, kMostTokens> ids = {};
  };

  // Returns the key of a piece of at most kLongestPiece bytes. `readable` is the number of bytes of text
  // from the beginning of the piece.
  static Key key_of(std::string_view piece, std::size_t readable) {
    Key key = {};
    const std::size_t n = piece.size();
    if (readable < sizeof key || std::endian::native != std::endian::little) {
      std::memcpy(key.data(), piece.data(), n);
    } else {  // the same without a branch for each length
      constexpr std::uint64_t kAll = ~std::uint64_t{0};
      std::memcpy(key.data(), piece.data(), sizeof key);
      key[0] &= n < 8 ? kAll >> (8 * (8 - n)) : kAll;
      key[1] &= n <= 8 ? 0 : kAll >> (8 * (16 - n));
    }
    key[1] |= static_cast<std::uint64_t>(n) << 56;
    return key;
  }

  // Returns the entry of a piece, or nullptr.
  const Entry* find(const Key& key) const {
    const Entry* entry = &entries_[place(key)];
    if (entry->key == key) return entry;
    ++entry;
    return entry->key == key ? entry : nullptr;
  }

  // Stores the tokens of a piece that find() does not find. A piece with more than kMostTokens tokens is not
  // stored.
  void insert(const Key& key, std::span<const std::int32_t> ids) {
    if (ids.size() > kMostTokens) return;
    Entry* entry = &entries_[place(key)];
    entry[1] = entry[0];
    entry[0] = {key, static_cast<std::int32_t>(ids.size()), {}};
    std::copy(ids.begin(), ids.end(), entry->ids.begin());
  }

 private:
  static constexpr std::size_t kEntries = std::size_t{1} << 16;

  // Returns the first of the two places of a key: the high bits of a hash (Knuth, The Art of Computer
  // Programming 3, 6.4).
  static std::size_t place(const Key& key) {
    constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
    return (((key[0] ^ std::rotl(key[1] * kGolden, 29)) * kGolden) >> 40) % kEntries & ~std::size_t{1};
  }

  std::vector<Entry> entries_ = std::vector<Entry>(kEntries);
};

}  // namespace inkling
