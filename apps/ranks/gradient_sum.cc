#include "apps/ranks/gradient_sum.h"

#include <algorithm>
#include <thread>

#include "core/bf16.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

constexpr std::size_t kBucketBytes = static_cast<std::size_t>(Bucket::kFloats) * sizeof(float);

template <class T>
T* bucket_in(const Pages& pages, std::size_t place) {
  return reinterpret_cast<T*>(pages.data()) + place * static_cast<std::size_t>(Bucket::kFloats);
}

}  // namespace

GradientSum::GradientSum(Ranks& ranks, std::int64_t parts, const Shares& shares, std::span<float> gradients,
                         DType sent_as)
    : ranks_(ranks),
      parts_(parts),
      gradients_(gradients),
      sent_as_(sent_as),
      sums_(parts, parts_of_rank(parts, ranks.rank(), ranks.size()), gradients, sent_as) {
  if (ranks_.size() == 1) return;
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    if (rank == ranks_.rank()) continue;
    for (const PartRange node : nodes_in(parts_, parts_of_rank(parts_, rank, ranks_.size())))
      foreign_.push_back({rank, node});
  }
  for (std::size_t number = 0; number < shares.most_buckets(); ++number) {
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const std::vector<Bucket>& buckets = shares.of_rank[static_cast<std::size_t>(rank)].buckets;
      if (number < buckets.size()) queue_.push_back({.owner = rank, .bucket = &buckets[number]});
    }
  }
  std::stable_sort(queue_.begin(), queue_.end(), [](const QueuedBucket& a, const QueuedBucket& b) {
    return a.bucket->part > b.bucket->part;
  });
  for (std::size_t t = 0; t < queue_.size(); ++t) {
    for (const WeightRange& range : queue_[t].bucket->ranges) places_.push_back({range, t});
  }
  std::sort(places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return a.range.begin < b.range.begin; });

  arriving_floats_ = Pages(2 * foreign_.size() * kBucketBytes);
  if (sent_as_ == DType::bf16) arriving_bf16_ = Pages(2 * foreign_.size() * kBucketBytes / 2);
  sends_.resize(2 * static_cast<std::size_t>(ranks_.size() - 1));
  leaving_ = Pages(sends_.size() * nodes_in(parts_, sums_.parts()).size() * kBucketBytes);
}

// ---- Adding while backward runs ----

void GradientSum::add(std::int64_t part) {
  sums_.begin(part);
  sums_.add();
}

void GradientSum::add_while(std::int64_t part, const std::function<void()>& backward) {
  if (foreign_.empty()) {
    backward();
    return add(part);
  }
  sums_.begin(part);
  adds_last_part_ = true;
  backward_ended_ = false;
  for (QueuedBucket& queued : queue_) queued.missing = queued.bucket->size;
  std::exception_ptr error;
  std::thread background([&] {
    try {
      walk(Thread::background);
    } catch (...) {
      error = std::current_exception();
    }
  });
  const auto join = [&] {
    {
      const std::lock_guard lock(mutex_);
      backward_ended_ = true;
    }
    changed_.notify_one();
    background.join();
  };
  try {
    backward();
  } catch (...) {
    join();
    throw;
  }
  join();
  if (error) std::rethrow_exception(error);
}

void GradientSum::complete(const float* gradient, std::int64_t count) {
  const std::int64_t begin = gradient - gradients_.data(), end = begin + count;
  const std::lock_guard lock(mutex_);
  auto place = std::partition_point(places_.begin(), places_.end(),
                                    [&](const Place& one) { return one.range.end <= begin; });
  for (; place != places_.end() && place->range.begin < end; ++place)
    queue_[place->queued].missing -= std::min(end, place->range.end) - std::max(begin, place->range.begin);
  changed_.notify_one();
}

// Returns false if backward has ended: then the main thread continues.
bool GradientSum::wait_until_complete(const QueuedBucket& queued, Thread thread) {
  if (thread == Thread::main) return true;
  std::unique_lock lock(mutex_);
  if (queued.missing > 0 && !backward_ended_) {
    // MPI moves large messages only while somebody waits for them. They belong to earlier buckets.
    lock.unlock();
    finish_all(thread);
    lock.lock();
    changed_.wait(lock, [&] { return queued.missing == 0 || backward_ended_; });
  }
  return !backward_ended_;
}

// ---- Adding over all ranks ----

float* GradientSum::reduce() {
  float* out = foreign_.empty() ? sums_.sums().front().data : gradients_.data();
  walk(Thread::main);
  finish_all(Thread::main);
  sums_.clear();
  adds_last_part_ = false;
  next_ = 0;
  return out;
}

void GradientSum::walk(Thread thread) {
  for (; next_ < queue_.size(); ++next_) {
    if (!wait_until_complete(queue_[next_], thread)) return;
    launch(queue_[next_], thread);
  }
}

void GradientSum::launch(const QueuedBucket& queued, Thread thread) {
  if (adds_last_part_) {
    for (const WeightRange& range : queued.bucket->ranges) sums_.add(range.begin, range.end);
  }
  if (queued.owner == ranks_.rank()) {
    receive(*queued.bucket, thread);
  } else {
    send(*queued.bucket, queued.owner);
  }
}

void GradientSum::send(const Bucket& bucket, int to) {
  const std::size_t slot = sent_++ % sends_.size(), own_sums = sums_.sums().size();
  std::vector<Ranks::Transfer>& transfers = sends_[slot];
  for (const Ranks::Transfer transfer : transfers) ranks_.wait(transfer);
  transfers.clear();
  for (std::size_t i = 0; i < own_sums; ++i)
    transfers.push_back(ranks_.start_send(to, message(sums_.sums()[i].data, bucket, slot * own_sums + i)));
}

// The message with the numbers of a bucket: where they are, if they are together, else in the memory of this
// place.
std::span<const std::byte> GradientSum::message(const float* values, const Bucket& bucket,
                                                std::size_t place) {
  const auto size = static_cast<std::size_t>(bucket.size);
  if (sent_as_ == DType::bf16) {
    bf16* to = bucket_in<bf16>(leaving_, 2 * place);
    for (const WeightRange& range : bucket.ranges) {
      kernels().narrow(to, values + range.begin, range.size());
      to += range.size();
    }
    return std::as_bytes(std::span(bucket_in<bf16>(leaving_, 2 * place), size));
  }
  if (bucket.ranges.size() == 1) return std::as_bytes(std::span(values + bucket.ranges.front().begin, size));
  float* to = bucket_in<float>(leaving_, place);
  for (const WeightRange& range : bucket.ranges) to = std::copy(values + range.begin, values + range.end, to);
  return std::as_bytes(std::span(bucket_in<float>(leaving_, place), size));
}

// The memory for a bucket of a foreign sum. Two consecutive buckets have different slots.
float* GradientSum::arrived(std::size_t foreign, std::size_t slot) const {
  return bucket_in<float>(arriving_floats_, slot * foreign_.size() + foreign);
}

void GradientSum::receive(const Bucket& bucket, Thread thread) {
  Arriving next{.bucket = &bucket, .slot = own_++ % 2, .receives = {}};
  const auto size = static_cast<std::size_t>(bucket.size);
  for (std::size_t i = 0; i < foreign_.size(); ++i) {
    const std::span<std::byte> to =
        sent_as_ == DType::bf16 ? std::as_writable_bytes(std::span(
                                      bucket_in<bf16>(arriving_bf16_, next.slot * foreign_.size() + i), size))
                                : std::as_writable_bytes(std::span(arrived(i, next.slot), size));
    next.receives.push_back(ranks_.start_receive(foreign_[i].rank, to));
  }
  finish_own(thread);
  arriving_ = std::move(next);
}

// Waits for the bucket of this rank's share that is under way, and adds it.
void GradientSum::finish_own(Thread thread) {
  if (!arriving_) return;
  for (const Ranks::Transfer transfer : arriving_->receives) ranks_.wait(transfer);
  const Bucket& bucket = *arriving_->bucket;
  const std::size_t slot = arriving_->slot;
  for (std::size_t i = 0; sent_as_ == DType::bf16 && i < foreign_.size(); ++i) {
    const bf16* from = bucket_in<bf16>(arriving_bf16_, slot * foreign_.size() + i);
    std::transform(from, from + bucket.size, arrived(i, slot), to_float);
  }
  std::int64_t in_bucket = 0;
  for (const WeightRange& range : bucket.ranges) {
    const auto add = [&](std::int64_t begin, std::int64_t end) {
      const float* sum = sum_of({0, parts_}, slot, in_bucket + begin, range.begin + begin, end - begin);
      float* to = gradients_.data() + range.begin + begin;
      if (sum != to) std::copy(sum, sum + (end - begin), to);
    };
    if (thread == Thread::main) {
      parallel_for(range.size(), PartSums::kAddFloats, add);
    } else {
      add(0, range.size());
    }
    in_bucket += range.size();
  }
  arriving_.reset();
}

void GradientSum::finish_all(Thread thread) {
  finish_own(thread);
  for (std::vector<Ranks::Transfer>& transfers : sends_) {
    for (const Ranks::Transfer transfer : transfers) ranks_.wait(transfer);
    transfers.clear();
  }
}

// Computes `count` floats of a node's sum: from weight `begin` on, which is number `in_bucket` of a bucket of
// this rank's share. Returns where they are: in the memory of the first of the sums that were added.
float* GradientSum::sum_of(PartRange node, std::size_t slot, std::int64_t in_bucket, std::int64_t begin,
                           std::int64_t count) {
  for (const PartSums::Sum& sum : sums_.sums()) {
    if (sum.node == node) return sum.data + begin;
  }
  for (std::size_t i = 0; i < foreign_.size(); ++i) {
    if (foreign_[i].node == node) return arrived(i, slot) + in_bucket;
  }
  float* left = sum_of({node.begin, middle(node)}, slot, in_bucket, begin, count);
  const float* right = sum_of({middle(node), node.end}, slot, in_bucket, begin, count);
  sums_.add_to(left, right, count);
  return left;
}

}  // namespace inkling
