// From shards to training batches: which tokens the model sees at a step, and what it should have said.
//
// The label shift, here and only here. A language model learns one thing: given the tokens so far, which
// comes next? So a row of T inputs needs T answers, and they are already in the text, one place further on.
// Out of T+1 tokens in sequence
//     tokens   Once  upon  a     time  there
//     inputs   Once  upon  a     time            tokens[0 .. T-1]
//     targets        upon  a     time  there     tokens[1 .. T]
// Position t sees inputs[0 .. t] (attention is causal) and is asked for targets[t] = tokens[t+1]. One row is
// T questions at once. Everything downstream compares position t with targets[t] and never shifts again. A
// target of -1 would take no part in the loss.
//
// Order. A sample is a whole batch: B*T+1 tokens in sequence, of which row b gets [b*T, b*T + T]; the next
// sample begins B*T further on. Without shuffling a shard's samples are taken in order, and shards by name.
// Shuffled, they come in llm.c's order, number for number, so that runs can be compared: one MT19937 stream
// (Matsumoto & Nishimura, 1998), seed 42 by default, and the shuffle of Fisher & Yates. At the start of each
// epoch it permutes the shards, as the last epoch left them; for each shard, all its samples.
//
// Aligned to documents. Cut anywhere, most rows begin in the middle of a document, and their first tokens ask
// about a beginning nobody can see. With align_documents a row starts at the last end-of-text token at or
// before its natural start, if one lies less than T tokens back, and is T+1 tokens from there. No two rows of
// an epoch start at the same place.
//
// Thread safety: one thread at a time. next() allocates nothing. Read next: nn/gpt2.h.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "apps/text/shard.h"

namespace inkling {

struct BatchSettings {
  std::int64_t B = 4;
  std::int64_t T = 64;
  std::int64_t vocab_size = 0;  // every token of a shard is checked against it before the shard's first use
  bool shuffle = false;
  std::uint32_t seed = 42;
  bool align_documents = false;
  std::int32_t end_of_text = -1;  // needed to align
};

// A run's 64-bit seed as the 32 bits that llm.c's shuffle takes: the lower half, with a hash of the upper
// half exclusive-or'ed in. So seeds below 2^32 are taken as they are, and every bit of others counts.
std::uint32_t shuffle_seed(std::uint64_t seed);

// A place in the data, enough to continue from exactly: plain numbers, small however large the shards.
// Permutations are not stored: the stream of random numbers is wound forward to where the current one was
// drawn.
struct BatchPosition {
  std::int64_t epoch = 0;
  std::vector<std::int64_t> shard_order;
  std::int64_t shard = 0;   // which place of shard_order
  std::int64_t sample = 0;  // samples already taken of that shard
  std::uint64_t draws = 0;  // random numbers drawn before that shard's samples were permuted
  // What the place is a place in. Restoring under other settings or data is an Error.
  std::int64_t B = 0, T = 0, tokens = 0;
  bool shuffle = false, align_documents = false;
  std::uint32_t seed = 0;
};
// A run of this many batches would take years. Positions further on are refused, so that no count overflows
// and going to a position takes a few minutes at most.
constexpr std::int64_t kMostBatches = std::int64_t{1} << 36;

class Batches {
 public:
  // Where a row was read from. Its target t is token first + t + 1 of shard `shard` (an index into shards()).
  struct Row {
    std::int64_t shard;
    std::int64_t first;
  };

  // Where a batch was read from: tokens [begin, end] of a shard.
  struct Place {
    std::int64_t shard = 0, begin = 0, end = 0, epoch = 0;
  };

  // Error for a shard of fewer than B*T+1 tokens, and (here or at its first use) for a token outside the
  // vocabulary.
  Batches(const std::vector<std::string>& paths, const BatchSettings& settings);

  // The next batch: inputs (B,T), targets (B,T). After the last of an epoch comes the first of the next one.
  void next(std::int32_t* inputs, std::int32_t* targets);

  // About the batch next() gave last.
  std::span<const Row> rows() const { return rows_; }
  Place place() const;
  std::string describe(const Place& place) const;  // "stories_train.bin: tokens 12800 .. 13056 (epoch 0)"

  BatchPosition state() const;
  // Both throw Error for a position that these settings and shards cannot lead to.
  void set_state(const BatchPosition& position);
  std::int64_t batches_before(const BatchPosition& position) const;  // since the first of the first epoch
  void rewind();                                                     // to the very beginning, as constructed

  const std::vector<Shard>& shards() const { return shards_; }
  std::int64_t tokens() const { return tokens_; }          // in all shards
  std::int64_t epoch_batches() const { return batches_; }  // batches in an epoch
  std::int64_t epoch() const { return epoch_; }            // counted from 0

 private:
  std::int64_t samples_of(std::int64_t shard) const;
  std::uint32_t draw();
  void permute(std::span<std::int64_t> order);
  void begin_epoch();
  void begin_shard();
  std::int64_t row_start(const Shard& shard, std::int64_t natural) const;
  void check_state(const BatchPosition& position) const;
  std::int64_t samples_before_shard(const BatchPosition& position) const;  // in its epoch
  std::uint64_t draws_before(const BatchPosition& position) const;

  BatchSettings settings_;
  std::vector<Shard> shards_;
  std::vector<bool> checked_;  // whose tokens are known to be inside the vocabulary
  std::int64_t tokens_ = 0, batches_ = 0;

  std::mt19937 random_;
  std::uint64_t draws_ = 0;  // numbers taken from random_ since its seed
  std::int64_t epoch_ = 0;
  std::vector<std::int64_t> shard_order_;
  std::int64_t place_ = 0;                  // the current shard is shard_order_[place_]
  std::uint64_t draws_before_samples_ = 0;  // draws_ when sample_order_ was made
  std::vector<std::int64_t> sample_order_;
  std::int64_t sample_ = 0;  // the next one is sample_order_[sample_]

  std::vector<Row> rows_;
  std::int64_t last_epoch_ = 0;
};

}  // namespace inkling
