#include "apps/tokenizer/bpe_training.h"

#include <xxhash.h>

#include <algorithm>
#include <queue>
#include <vector>

#include "apps/tokenizer/pieces.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

constexpr std::size_t kPart = std::size_t{1} << 20;  // the bytes that one thread counts at a time
constexpr std::size_t kLongestToken = 255;           // the file stores the length of a token in one byte
// A longer piece is counted in several parts. One that is as long as a whole text would not fit into the
// memory of the counts, and would be left out of them as a rare piece.
constexpr std::size_t kLongestPiece = std::size_t{1} << 18;
constexpr std::int32_t kBytes = 256;
constexpr std::uint32_t kEnd = ~std::uint32_t{0};  // no position
constexpr std::int32_t kMerged = -1;               // this position's token was joined to the one before it

struct Pair {
  std::int32_t left, right;
  auto operator<=>(const Pair&) const = default;
};

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    const auto key = static_cast<std::uint64_t>(pair.left) << 32 | static_cast<std::uint32_t>(pair.right);
    return static_cast<std::size_t>(key * 0x9e3779b97f4a7c15 >> 16);
  }
};

// Where a pair occurs. `positions` may contain places where the pair no longer occurs; `count` is exact.
struct Occurrences {
  std::int64_t count = 0;
  std::vector<std::uint32_t> positions;  // of the left token, in ascending order
};

// A pair in the queue. Its count was exact when it was put there, and can only have become smaller.
struct Candidate {
  std::int64_t count;
  Pair pair;
  // The order of std::priority_queue: the largest comes first.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// All pieces as one sequence of tokens, in which pairs are found and merged. A token stays at the position of
// its first byte; tokens before and after it in its piece are linked.
class Corpus {
 public:
  explicit Corpus(const PieceCounts& pieces) {
    places_.reserve(pieces.piece_bytes());
    weights_.reserve(pieces.counts().size());
    for (const auto& [piece, count] : pieces.counts()) {
      const auto begin = static_cast<std::uint32_t>(places_.size());
      const auto size = static_cast<std::uint32_t>(piece.size());
      for (std::uint32_t i = 0; i < size; ++i) {
        places_.push_back({.token = static_cast<unsigned char>(piece[i]),
                           .before = i == 0 ? kEnd : begin + i - 1,
                           .after = i + 1 == size ? kEnd : begin + i + 1,
                           .piece = static_cast<std::uint32_t>(weights_.size())});
      }
      weights_.push_back(count);
    }
    for (std::uint32_t at = 0; at < places_.size(); ++at) {
      if (places_[at].after != kEnd) count_pair(at);
    }
    fill_queue();
  }

  // Takes the most frequent pair out of the queue. Returns false if there is none.
  bool next(Pair& pair) {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(top.pair);
      if (found == pairs_.end()) continue;  // the pair no longer occurs
      const std::int64_t count = found->second.count;
      if (count == top.count) {
        pair = top.pair;
        return true;
      }
      queue_.push({count, top.pair});
    }
    return false;
  }

  // Merges a pair wherever it occurs.
  void merge(const Pair& pair, std::int32_t token) {
    const std::vector<std::uint32_t> positions = std::move(pairs_.at(pair).positions);
    fresh_.clear();
    for (const std::uint32_t at : positions) {
      Place& left = places_[at];
      if (left.token != pair.left || left.after == kEnd || places_[left.after].token != pair.right) continue;
      Place& right = places_[left.after];
      if (left.before != kEnd) uncount_pair(left.before);
      uncount_pair(at);
      if (right.after != kEnd) uncount_pair(left.after);
      left.token = token;
      right.token = kMerged;
      left.after = right.after;
      if (left.after != kEnd) places_[left.after].before = at;
      if (left.before != kEnd) count_pair(left.before);
      if (left.after != kEnd) count_pair(at);
    }
    for (const Pair& made : fresh_) {
      const auto found = pairs_.find(made);
      if (found != pairs_.end()) queue_.push({found->second.count, made});
    }
    // Pairs that no longer occur stay in the queue until they are at its top. If they are most of it, it is
    // filled again.
    if (queue_.size() > 2 * pairs_.size() + kSmallQueue) fill_queue();
  }

 private:
  static constexpr std::size_t kSmallQueue = 1000;

  struct Place {
    std::int32_t token;
    std::uint32_t before, after, piece;
  };

  void fill_queue() {
    std::vector<Candidate> candidates;
    candidates.reserve(pairs_.size());
    queue_ = {};
    for (const auto& [pair, occurrences] : pairs_) candidates.push_back({occurrences.count, pair});
    queue_ = std::priority_queue<Candidate>(std::less<Candidate>(), std::move(candidates));
  }

  Pair pair_at(std::uint32_t at) const { return {places_[at].token, places_[places_[at].after].token}; }

  void count_pair(std::uint32_t at) {
    const auto [found, added] = pairs_.try_emplace(pair_at(at));
    if (added) fresh_.push_back(found->first);
    found->second.count += weights_[places_[at].piece];
    found->second.positions.push_back(at);
  }
  void uncount_pair(std::uint32_t at) {
    const auto found = pairs_.find(pair_at(at));
    found->second.count -= weights_[places_[at].piece];
    if (found->second.count == 0) pairs_.erase(found);
  }

  std::vector<Place> places_;
  std::vector<std::int64_t> weights_;  // how often each piece occurs
  std::unordered_map<Pair, Occurrences, PairHash> pairs_;
  std::vector<Pair> fresh_;  // pairs that the current merge has made
  std::priority_queue<Candidate> queue_;
};

}  // namespace

void PieceCounts::add(std::string_view text) {
  std::vector<std::string_view> parts;
  while (text.size() > kPart) {
    const std::size_t cut = cut_before(text, kPart);
    if (cut == 0) break;
    parts.push_back(text.substr(0, cut));
    text.remove_prefix(cut);
  }
  parts.push_back(text);
  std::vector<std::unordered_map<std::string_view, std::int64_t>> counts(parts.size());
  parallel_chunks(std::ssize(parts), [&](std::int64_t i) {
    std::string_view rest = parts[static_cast<std::size_t>(i)];
    while (!rest.empty()) {
      for (std::size_t left = piece_length(rest); left > 0;) {
        const std::size_t size = std::min(left, kLongestPiece);
        ++counts[static_cast<std::size_t>(i)][rest.substr(0, size)];
        rest.remove_prefix(size);
        left -= size;
      }
    }
  });
  for (const auto& part : counts) {
    for (const auto& [piece, count] : part) {
      const auto found = counts_.find(piece);
      if (found != counts_.end()) {
        found->second += count;
      } else {
        counts_.emplace(piece, count);
        piece_bytes_ += piece.size();
      }
    }
  }
  while (piece_bytes_ > most_piece_bytes_ && !counts_.empty()) sample_rare_pieces();
}

void PieceCounts::sample_rare_pieces() {
  const std::size_t before = piece_bytes_;
  ++samples_;
  for (auto entry = counts_.begin(); entry != counts_.end();) {
    auto& [piece, count] = *entry;
    const bool heads = XXH3_64bits_withSeed(piece.data(), piece.size(), samples_) % 2 == 0;
    if (count > sampled_up_to_ || heads) {
      if (count <= sampled_up_to_) count *= 2;
      ++entry;
    } else {
      piece_bytes_ -= piece.size();
      entry = counts_.erase(entry);
    }
  }
  // If this has left out too little, the pieces that are a little less rare are sampled next.
  if (piece_bytes_ > before / 4 * 3) sampled_up_to_ *= 2;
}

Tokenizer train_bpe(const PieceCounts& pieces, std::int32_t vocab_size) {
  if (vocab_size < kBytes + 1)
    fail("tokenizer: the vocabulary is ", vocab_size, ", expected at least 257: 256 bytes and end-of-text");
  std::vector<std::string> tokens;
  for (int byte = 0; byte < kBytes; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  Corpus corpus(pieces);
  for (Pair pair; std::ssize(tokens) + 1 < vocab_size && corpus.next(pair);) {
    std::string token =
        tokens[static_cast<std::size_t>(pair.left)] + tokens[static_cast<std::size_t>(pair.right)];
    if (token.size() > kLongestToken) continue;
    corpus.merge(pair, static_cast<std::int32_t>(tokens.size()));
    tokens.push_back(std::move(token));
  }
  tokens.emplace_back(kEndOfTextBytes);
  const auto end_of_text = static_cast<std::int32_t>(tokens.size()) - 1;
  return Tokenizer(std::move(tokens), end_of_text, "trained tokenizer");
}

}  // namespace inkling
