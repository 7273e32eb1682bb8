#include "apps/text/batches.h"

#include <algorithm>
#include <numeric>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

namespace {

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::uint32_t shuffle_seed(std::uint64_t seed) {
  constexpr std::uint32_t kGolden = 0x9e3779b1u;  // 2^32 divided by the golden ratio, for the hash
  const auto upper = static_cast<std::uint32_t>(seed >> 32) * kGolden;
  return static_cast<std::uint32_t>(seed) ^ upper ^ (upper >> 16);
}

Batches::Batches(const std::vector<std::string>& paths, const BatchSettings& settings) : settings_(settings) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;  // no shard has more tokens, and B*T cannot overflow
  const auto [B, T] = std::pair(settings_.B, settings_.T);
  if (B < 1 || T < 1 || B > kMost || T > kMost)
    fail("batches: B=", B, " and T=", T, ", expected 1 .. ", kMost, " each");
  if (settings_.parts < 1 || B % settings_.parts != 0 || settings_.part < 0 ||
      settings_.part >= settings_.parts)
    fail("batches: part ", settings_.part, " of ", settings_.parts,
         ", expected a part of equal parts of B=", B);
  if (settings_.align_documents && settings_.end_of_text < 0) {
    fail("batches: align_documents is on, expected the id of the end-of-text token, got ",
         settings_.end_of_text);
  }
  if (paths.empty()) fail("batches: no shards, expected at least one");
  std::int64_t most_samples = 0, counted = 0;
  for (const std::string& path : paths) {
    const DataShard& shard = shards_.emplace_back(path, settings_.loss_mask);
    shard.check_row_tokens(T);
    if (settings_.document_mask && !shard.has_document_starts() && settings_.end_of_text < 0)
      fail(path, ": document_mask is on, expected the id of the end-of-text token, got ",
           settings_.end_of_text);
    if (shard.size() < B * T + 1) {
      fail(path, ": has ", format_number_of(shard.size(), "token"), ", expected at least B*T+1=", B * T + 1,
           " for one batch of B=", B, ", T=", T, "; a smaller --batch-size or --seq-len needs less");
    }
    const std::int64_t samples = samples_of(static_cast<std::int64_t>(shards_.size()) - 1);
    most_samples = std::max(most_samples, samples);
    batches_ += samples;
    tokens_ += shard.size();
    counted += shard.counted(target_of(0), target_of(samples * B * T));
    shard_ids_.push_back(shard.id());
  }
  expect_counted_targets(counted, paths);
  checked_.assign(shards_.size(), false);
  shard_order_.resize(shards_.size());
  sample_order_.reserve(index(most_samples));
  rows_.reserve(index(B));
  rewind();
}

void Batches::go_to(std::int64_t batches) {
  random_.seed(seed());
  draws_ = 0;
  epoch_ = 0;
  rows_.clear();
  std::iota(shard_order_.begin(), shard_order_.end(), 0);
  begin_epoch();
  // The random numbers of all permutations up to the position are drawn again.
  while (batches > std::ssize(sample_order_)) {
    batches -= std::ssize(sample_order_);
    next_shard();
  }
  sample_ = batches;
  last_epoch_ = epoch_;
  check_tokens();
}

// The number of samples in a shard. Samples overlap by one token: the last target of a sample is the first
// input of the next sample.
std::int64_t Batches::samples_of(std::int64_t shard) const {
  return (shards_[index(shard)].size() - 1) / (settings_.B * settings_.T);
}

std::uint32_t Batches::draw() {
  ++draws_;
  return static_cast<std::uint32_t>(random_());
}

// Permutes a list with the shuffle of Fisher & Yates, from the end. The modulo makes small indices slightly
// more likely, by about 2^-32 n. llm.c does the same, and for shuffling this difference is too small to
// matter.
void Batches::permute(std::span<std::int64_t> order) {
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[draw() % (i + 1)]);
}

void Batches::begin_epoch() {
  place_ = 0;
  if (settings_.shuffle) permute(shard_order_);
  begin_shard();
}

void Batches::begin_shard() {
  sample_ = 0;
  draws_before_samples_ = draws_;
  sample_order_.resize(index(samples_of(shard_order_[index(place_)])));
  std::iota(sample_order_.begin(), sample_order_.end(), 0);
  if (settings_.shuffle) permute(sample_order_);
}

void Batches::next_shard() {
  if (++place_ < std::ssize(shards_)) return begin_shard();
  ++epoch_;
  begin_epoch();
}

// Checks all tokens of the current shard, at its first use.
void Batches::check_tokens() {
  const std::int64_t shard = shard_order_[index(place_)];
  if (!checked_[index(shard)]) shards_[index(shard)].tokens().check_tokens(settings_.vocab_size);
  checked_[index(shard)] = true;
}

std::int64_t Batches::row_start(const DataShard& shard, std::int64_t natural) const {
  if (!settings_.align_documents) return natural;
  const std::int64_t earliest = std::max<std::int64_t>(0, natural - settings_.T + 1);
  for (std::int64_t i = natural; i >= earliest; --i) {
    if (shard.tokens()[i] == settings_.end_of_text) return i;
  }
  return natural;
}

void Batches::next(std::int32_t* inputs, std::int32_t* targets, std::int32_t* positions) {
  const auto [B, T] = std::pair(settings_.B, settings_.T);
  if (sample_ == std::ssize(sample_order_)) {
    next_shard();
    check_tokens();
  }
  const std::int64_t s = shard_order_[index(place_)];
  const DataShard& shard = shards_[index(s)];
  const std::int64_t rows = B / settings_.parts;
  const std::int64_t start = sample_order_[index(sample_++)] * B * T + settings_.part * rows * T;
  last_epoch_ = epoch_;
  rows_.clear();
  for (std::int64_t b = 0; b < rows; ++b) {
    const std::int64_t first = row_start(shard, start + b * T);
    copy_row(shard, first, T, inputs + b * T, targets + b * T);
    if (settings_.document_mask && positions != nullptr)
      shard.copy_positions(first, T, settings_.end_of_text, positions + b * T);
    rows_.push_back({s, first});
  }
}

Batches::Place Batches::place() const {
  return {rows_.front().shard, rows_.front().first, rows_.back().first + settings_.T, last_epoch_};
}

std::string Batches::describe(const Place& place) const {
  return str(shards_[index(place.shard)].path(), ": tokens ", place.begin, " .. ", place.end, " (epoch ",
             place.epoch, ")");
}

BatchPosition Batches::state() const {
  BatchPosition position;
  position.epoch = epoch_;
  position.shard_order = shard_order_;
  position.shard = place_;
  position.sample = sample_;
  position.draws = draws_before_samples_;
  position.B = settings_.B, position.T = settings_.T, position.tokens = tokens_;
  position.shuffle = settings_.shuffle, position.align_documents = settings_.align_documents;
  position.seed = seed();
  position.shards = shard_ids_;
  return position;
}

void Batches::check_state(const BatchPosition& p) const {
  const auto expect_same = [](const char* what, auto got, auto expected) {
    if (got != expected) fail("batches: in the saved position ", what, " is ", got, ", expected ", expected);
  };
  expect_same("B", p.B, settings_.B);
  expect_same("T", p.T, settings_.T);
  expect_same("shuffle", p.shuffle, settings_.shuffle);
  expect_same("align_documents", p.align_documents, settings_.align_documents);
  expect_same("seed", p.seed, seed());
  if (!p.shards.empty()) expect_same_contents(p.shards, shards_);
  expect_same("the number of shards", p.shard_order.size(), shards_.size());
  expect_same("the number of tokens", p.tokens, tokens_);
  std::vector<std::int64_t> each = p.shard_order;
  std::sort(each.begin(), each.end());
  for (std::size_t i = 0; i < each.size(); ++i) {
    if (each[i] != static_cast<std::int64_t>(i))
      fail("batches: the saved position's shard order is not a permutation, expected each of 0 .. ",
           each.size() - 1, " once");
  }
  const auto shards = static_cast<std::int64_t>(shards_.size());
  const std::int64_t most_epochs = kMostBatches / batches_;
  if (p.epoch < 0 || p.epoch > most_epochs)
    fail("batches: the saved position is in epoch ", p.epoch, ", expected 0 .. ", most_epochs);
  if (p.shard < 0 || p.shard >= shards)
    fail("batches: the saved position is at shard ", p.shard, ", expected 0 .. ", shards - 1);
  const std::int64_t samples = samples_of(p.shard_order[index(p.shard)]);
  if (p.sample < 0 || p.sample > samples) {
    fail("batches: the saved position is at sample ", p.sample, ", expected 0 .. ", samples);
  }
  const std::uint64_t draws = settings_.shuffle ? draws_before(p) : 0;
  if (p.draws != draws)
    fail("batches: the saved position comes after ", p.draws, " random numbers, expected ", draws);
}

std::int64_t Batches::samples_before_shard(const BatchPosition& p) const {
  std::int64_t samples = 0;
  for (std::int64_t place = 0; place < p.shard; ++place) samples += samples_of(p.shard_order[index(place)]);
  return samples;
}

// Returns how many random numbers a run draws before it permutes the samples of the current shard. permute()
// draws n - 1 numbers for n elements. So an epoch draws (shards - 1) numbers for the order of its shards, and
// (samples - 1) numbers for each shard; the sum over an epoch is (batches - 1).
std::uint64_t Batches::draws_before(const BatchPosition& p) const {
  const auto shards = static_cast<std::int64_t>(shards_.size());
  return static_cast<std::uint64_t>(p.epoch * (batches_ - 1) + shards - 1 + samples_before_shard(p) -
                                    p.shard);
}

std::int64_t Batches::batches_before(const BatchPosition& p) const {
  check_state(p);
  return p.epoch * batches_ + samples_before_shard(p) + p.sample;
}

void Batches::set_state(const BatchPosition& position) {
  check_state(position);
  random_.seed(seed());
  random_.discard(position.draws);
  draws_ = position.draws;
  epoch_ = last_epoch_ = position.epoch;
  shard_order_ = position.shard_order;
  place_ = position.shard;
  rows_.clear();
  begin_shard();
  sample_ = position.sample;
  check_tokens();
}

}  // namespace inkling
