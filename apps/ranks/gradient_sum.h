// GradientSum: adds the gradients of all parts of a step, in the order of parts.h, over all ranks.
//
// The sum is divided among the ranks: each rank gets the sum of its share of the weights (a reduce-scatter),
// updates these weights, and then sends them to all other ranks (gather_shares.h). So every rank sends and
// receives about as much as the model has weights, whatever the number of ranks.
//
//   add(part)                       for each part of this rank but the last: adds within this rank
//   add_while(last part, backward)  adds and sends what backward has completed, while it computes the rest
//   reduce()                        adds and sends what is left
//
// Buckets (shares.h) travel in the order in which backward completes them: the last layer's first, the
// embeddings' last. This order is the same on all ranks, so a rank never waits for a bucket whose sender
// waits for it. While backward runs on all threads, one more thread of the rank sends, receives and adds. Two
// buckets of this rank's share are under way at a time: while one is added, the next one travels. Everything
// is a message between two ranks; MPI never adds.
//
// The sums can be sent in bf16, which halves the bytes. Then each part's gradient, and each sum of the tree,
// is rounded to bf16. So the result has the same bits whether a sum was sent or computed by the same rank.
// Read next: replicated_step.cc.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "apps/ranks/part_sums.h"
#include "apps/ranks/shares.h"
#include "core/memory.h"
#include "core/ranks/ranks.h"

namespace inkling {

class GradientSum {
 public:
  // `shares` must outlive this object. For `gradients` and `sent_as`, see PartSums.
  GradientSum(Ranks& ranks, std::int64_t parts, const Shares& shares, std::span<float> gradients,
              DType sent_as = DType::f32);

  PartRange parts() const { return sums_.parts(); }

  // Adds the gradient of a part, which is in the buffer `gradients`. The parts of this rank come in order.
  void add(std::int64_t part);

  // Calls backward(), which computes the gradient of this rank's last part, and adds it. backward() may call
  // complete() for ranges of `gradients` that it does not change any more, from any thread. Throws what
  // backward() throws, after the other ranks' messages that are under way have arrived.
  void add_while(std::int64_t part, const std::function<void()>& backward);
  void complete(const float* gradient, std::int64_t count);

  // Adds over all ranks. Returns the sum: a buffer of all weights, of which only this rank's share is valid.
  // Then the next step can begin with add().
  float* reduce();

 private:
  // A sum of another rank, of which this rank gets its own share.
  struct Foreign {
    int rank;
    PartRange node;
  };
  // A bucket of any rank. Buckets travel in the order of this list.
  struct QueuedBucket {
    int owner;
    const Bucket* bucket;
    std::int64_t missing = 0;  // weights whose gradient backward has not completed yet
  };
  // Weights of a bucket.
  struct Place {
    WeightRange range;
    std::size_t queued;  // the bucket's index in queue_
  };
  // A bucket of this rank's share that is under way.
  struct Arriving {
    const Bucket* bucket;
    std::size_t slot;
    std::vector<Ranks::Transfer> receives;
  };
  enum class Thread { main, background };

  void walk(Thread thread);
  bool wait_until_complete(const QueuedBucket& queued, Thread thread);
  void launch(const QueuedBucket& queued, Thread thread);
  void receive(const Bucket& bucket, Thread thread);
  void send(const Bucket& bucket, int to);
  void finish_own(Thread thread);
  void finish_all(Thread thread);
  std::span<const std::byte> message(const float* values, const Bucket& bucket, std::size_t place);
  float* arrived(std::size_t foreign, std::size_t slot) const;
  float* sum_of(PartRange node, std::size_t slot, std::int64_t in_bucket, std::int64_t begin,
                std::int64_t count);

  Ranks& ranks_;
  std::int64_t parts_;
  std::span<float> gradients_;
  DType sent_as_;
  PartSums sums_;
  std::vector<Foreign> foreign_;
  std::vector<QueuedBucket> queue_;
  std::vector<Place> places_;    // of all buckets, in the order of the weights
  bool adds_last_part_ = false;  // the walk adds the last part, bucket by bucket

  std::size_t next_ = 0;            // the next bucket to launch
  std::size_t own_ = 0, sent_ = 0;  // the buckets that were launched: of this rank's share, and of others
  std::optional<Arriving> arriving_;
  std::vector<std::vector<Ranks::Transfer>> sends_;  // of the buckets of others that were launched last
  Pages arriving_floats_;                            // two buckets of each foreign sum
  Pages arriving_bf16_;  // the messages of the same buckets, if they are sent in bf16
  Pages leaving_;        // the messages to other ranks that are not sent from where the sums are

  std::mutex mutex_;  // of QueuedBucket::missing and backward_ended_
  std::condition_variable changed_;
  bool backward_ended_ = false;
};

}  // namespace inkling
