// Batches: turns token shards into the inputs and targets of a training step. label_shift.h explains what a
// target is, and which targets are -1 because a loss mask says that they do not count; batches.h defines
// which tokens a batch has.
//
// Order: a sample is a whole batch, B*T+1 tokens in sequence. Row b is tokens [b*T, b*T + T] of the sample,
// and the next sample starts B*T tokens later. Without shuffling, samples are taken in order, and shards in
// the order of their names. With shuffling, the order is exactly the order of llm.c, so that runs can be
// compared. It uses one stream of the random numbers MT19937 (Matsumoto & Nishimura, 1998) with seed 42 by
// default, and the shuffle of Fisher & Yates. At the start of each epoch, the shards are permuted, starting
// from their order in the last epoch. When a shard begins, its samples are permuted.
//
// Rows that are aligned to documents: if text is cut anywhere, most rows start in the middle of a document,
// and their first targets depend on a beginning that the model cannot see. With align_documents, a row starts
// at the last end-of-text token at or before its normal start, if there is such a token less than T tokens
// before. No two rows of an epoch start at the same token.
//
// Several processes (llm.c's loader with nproc > 1): the rows of a sample are divided into `parts` equal
// parts, and each part has its own Batches object. Part p has rows [p*B/parts, (p+1)*B/parts) and, as in
// llm.c, its own stream of random numbers, with seed + p. So the parts of a training batch come from
// different samples, and an epoch still has each row once.
//
// Several documents in a row: with document_mask, a batch also has the position of each token in its
// document, so that attention and positions do not cross documents (ops/attention/attention.h). DataShard
// knows where documents begin. Packed chats (packing.h) have rows of a fixed length, which T must be.
//
// Thread safety: only one thread at a time may use a Batches object. next() allocates no memory. Read next:
// nn/gpt2.h.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "apps/text/label_shift.h"
#include "apps/text/shard.h"

namespace inkling {

struct BatchSettings {
  std::int64_t B = 4;  // the rows of all parts together
  std::int64_t T = 64;
  std::int64_t vocab_size = 0;  // before a shard is used, all its tokens are checked against V
  bool shuffle = false;
  std::uint32_t seed = 42;  // of part 0
  std::int64_t parts = 1, part = 0;
  bool align_documents = false;
  bool document_mask = false;
  // The id of end-of-text. align_documents needs it, and so does document_mask for shards without document
  // starts.
  std::int32_t end_of_text = -1;
  LossMask loss_mask = LossMask::use;
};

// Reduces a run's 64-bit seed to the 32 bits of the seed of llm.c's shuffle: the lower half, xor a hash of
// the upper half. Seeds below 2^32 do not change; for larger seeds, every bit has an effect.
std::uint32_t shuffle_seed(std::uint64_t seed);

// A position in the training data, from which a run can continue exactly. It is small for shards of any size:
// it does not store permutations, because set_state() draws the random numbers again up to the current
// permutation.
struct BatchPosition {
  std::int64_t epoch = 0;
  std::vector<std::int64_t> shard_order;
  std::int64_t shard = 0;   // the current shard is shard_order[shard]
  std::int64_t sample = 0;  // samples of the current shard that were taken already
  std::uint64_t draws = 0;  // random numbers drawn before the current shard's samples were permuted
  // The settings and the data that this position is valid for. Other settings or data are an Error.
  std::int64_t B = 0, T = 0, tokens = 0;
  bool shuffle = false, align_documents = false;
  std::uint32_t seed = 0;
  std::vector<ShardId> shards;  // empty in a position that an older program saved
};
// The maximum number of batches before a position. A run of this many batches would take years. With this
// limit, no count overflows, and moving to a position takes a few minutes at most.
constexpr std::int64_t kMostBatches = std::int64_t{1} << 36;

class Batches {
 public:
  // The place from which a row was read: input t is token first + t of the shard shards()[shard].
  struct Row {
    std::int64_t shard;
    std::int64_t first;
  };

  // The place from which a batch was read: tokens [begin, end] of a shard.
  struct Place {
    std::int64_t shard = 0, begin = 0, end = 0, epoch = 0;
  };

  // Opens the shards. Error for a shard with fewer than B*T+1 tokens, if no target of all batches counts, and
  // unless B can be divided by the number of parts.
  // Error, in the constructor or at the shard's first use, for a token outside the vocabulary.
  Batches(const std::vector<std::string>& paths, const BatchSettings& settings);

  // Writes this part of the next batch, b = B/parts rows: inputs (b,T), targets (b,T) and, with
  // document_mask, positions (b,T), which may be nullptr. The batch after the last batch of an epoch is the
  // first batch of the next epoch.
  void next(std::int32_t* inputs, std::int32_t* targets, std::int32_t* positions = nullptr);

  // rows() and place() describe the last batch that next() returned. Call next() first.
  std::span<const Row> rows() const { return rows_; }
  Place place() const;
  std::string describe(const Place& place) const;  // "stories_train.bin: tokens 12800 .. 13056 (epoch 0)"

  BatchPosition state() const;
  // set_state() continues at a saved position; batches_before() returns the number of batches before the
  // position. Both throw an Error if a run with these settings and shards never reaches the position. go_to()
  // continues after the first `batches` batches.
  void set_state(const BatchPosition& position);
  void go_to(std::int64_t batches);
  std::int64_t batches_before(
      const BatchPosition& position) const;  // the number of batches from the first batch of epoch 0
  void rewind() { go_to(0); }                // goes back to the first batch of epoch 0

  const std::vector<DataShard>& shards() const { return shards_; }
  // The ids that the shards had when they were opened, even if another program has changed the files since
  // then.
  const std::vector<ShardId>& shard_ids() const { return shard_ids_; }
  std::int64_t tokens() const { return tokens_; }          // the number of tokens in all shards
  std::int64_t epoch_batches() const { return batches_; }  // the number of batches in an epoch
  std::int64_t epoch() const { return epoch_; }            // the epoch's number, from 0

 private:
  std::int64_t samples_of(std::int64_t shard) const;
  std::uint32_t draw();
  void permute(std::span<std::int64_t> order);
  void begin_epoch();
  void begin_shard();
  void next_shard();
  void check_tokens();
  std::uint32_t seed() const { return settings_.seed + static_cast<std::uint32_t>(settings_.part); }
  std::int64_t row_start(const DataShard& shard, std::int64_t natural) const;
  void check_state(const BatchPosition& position) const;
  std::int64_t samples_before_shard(const BatchPosition& position) const;  // only samples of the same epoch
  std::uint64_t draws_before(const BatchPosition& position) const;

  BatchSettings settings_;
  std::vector<DataShard> shards_;
  std::vector<ShardId> shard_ids_;
  std::vector<bool> checked_;  // whether all tokens of a shard are known to be in the vocabulary
  std::int64_t tokens_ = 0, batches_ = 0;

  std::mt19937 random_;
  std::uint64_t draws_ = 0;  // how many numbers were drawn from random_ since its seed
  std::int64_t epoch_ = 0;
  std::vector<std::int64_t> shard_order_;
  std::int64_t place_ = 0;                  // the current shard is shard_order_[place_]
  std::uint64_t draws_before_samples_ = 0;  // draws_ before sample_order_ was permuted
  std::vector<std::int64_t> sample_order_;
  std::int64_t sample_ = 0;  // the next sample is sample_order_[sample_]

  std::vector<Row> rows_;
  std::int64_t last_epoch_ = 0;
};

}  // namespace inkling
