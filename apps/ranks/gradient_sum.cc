#include "apps/ranks/gradient_sum.h"

#include <algorithm>

#include "core/parallel.h"
#include "ops/elementwise.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

constexpr std::int64_t kAddFloats = 1 << 14;  // a thread adds this many floats at a time: they fit into L1

void add_to(float* sum, const float* x, std::int64_t n) {
  kernels().binary_forward(Binary::add, sum, {sum, 1}, {x, 1}, n);
}

// The memory for a bucket of bf16. Two consecutive buckets have different places.
bf16* bf16_bucket(const Pages& pages, std::size_t places, std::size_t place, std::int64_t bucket) {
  const std::size_t at = static_cast<std::size_t>(bucket % 2) * places + place;
  return reinterpret_cast<bf16*>(pages.data()) + at * static_cast<std::size_t>(Share::kBucketFloats);
}

}  // namespace

GradientSum::GradientSum(Ranks& ranks, std::int64_t parts, std::span<const Share> shares,
                         std::span<float> gradients, DType sent_as)
    : ranks_(ranks),
      parts_(parts),
      mine_(parts_of_rank(parts, ranks.rank(), ranks.size())),
      shares_(shares.begin(), shares.end()),
      gradients_(gradients),
      sent_as_(sent_as) {
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    if (rank == ranks_.rank()) continue;
    for (const PartRange node : nodes_in(parts_, parts_of_rank(parts_, rank, ranks_.size())))
      foreign_.push_back({rank, node});
  }
  const std::size_t two_buckets = 2 * static_cast<std::size_t>(Share::kBucketFloats);
  arriving_ = Pages(two_buckets * foreign_.size() * sizeof(float));
  if (sent_as_ != DType::bf16) return;
  arriving_bf16_ = Pages(two_buckets * foreign_.size() * sizeof(bf16));
  const std::size_t leaving = nodes_in(parts_, mine_).size() * static_cast<std::size_t>(ranks_.size() - 1);
  leaving_bf16_ = Pages(two_buckets * leaving * sizeof(bf16));
}

// Rounds to the numbers that messages can have.
void GradientSum::round(float* values, std::int64_t n) const {
  if (sent_as_ != DType::bf16) return;
  for (std::int64_t i = 0; i < n; ++i) values[i] = to_float(to_bf16(values[i]));
}

int GradientSum::take_memory() {
  if (free_memories_.empty()) {
    free_memories_.push_back(static_cast<int>(memories_.size()));
    memories_.emplace_back(gradients_.size_bytes());
  }
  const int memory = free_memories_.back();
  free_memories_.pop_back();
  return memory;
}

// Works like the carry of a binary counter: two sums become one as soon as they are the children of a node.
// The last part stays in the buffer of backward; earlier parts are copied, because backward overwrites it.
void GradientSum::add(std::int64_t part) {
  Sum sum{{part, part + 1}, gradients_.data(), -1};
  const std::int64_t n = std::ssize(gradients_);
  parallel_for(n, kAddFloats,
               [&](std::int64_t begin, std::int64_t end) { round(sum.data + begin, end - begin); });
  while (!sums_.empty() && is_node(parts_, {sums_.back().node.begin, sum.node.end})) {
    Sum left = sums_.back();
    sums_.pop_back();
    parallel_for(n, kAddFloats, [&](std::int64_t begin, std::int64_t end) {
      add_to(left.data + begin, sum.data + begin, end - begin);
      round(left.data + begin, end - begin);
    });
    if (sum.memory >= 0) free_memories_.push_back(sum.memory);
    left.node.end = sum.node.end;
    sum = left;
  }
  if (sum.memory < 0 && part + 1 < mine_.end) {
    sum.memory = take_memory();
    sum.data = reinterpret_cast<float*>(memories_[static_cast<std::size_t>(sum.memory)].data());
    parallel_for(n, kAddFloats, [&](std::int64_t begin, std::int64_t end) {
      std::copy(gradients_.data() + begin, gradients_.data() + end, sum.data + begin);
    });
  }
  sums_.push_back(sum);
}

float* GradientSum::reduce() {
  float* out = sums_.front().data;
  if (!foreign_.empty()) {
    out = gradients_.data();
    Messages under_way;
    const std::int64_t buckets = most_buckets(shares_);
    for (std::int64_t number = 0; number <= buckets; ++number) {
      Messages next = number < buckets ? start_bucket(number) : Messages{};
      if (number > 0) finish_bucket(number - 1, under_way, out);
      under_way = std::move(next);
    }
  }
  for (const Sum& sum : sums_) {
    if (sum.memory >= 0) free_memories_.push_back(sum.memory);
  }
  sums_.clear();
  return out;
}

Share GradientSum::bucket_of(int rank, std::int64_t number) const {
  return shares_[static_cast<std::size_t>(rank)].bucket(number);
}

// The place for a bucket of a foreign sum. Two consecutive buckets have different places.
float* GradientSum::arrived(std::size_t foreign, std::int64_t bucket) const {
  const std::size_t place = static_cast<std::size_t>(bucket % 2) * foreign_.size() + foreign;
  return reinterpret_cast<float*>(arriving_.data()) + place * static_cast<std::size_t>(Share::kBucketFloats);
}

// The memory into which the message with a bucket of a foreign sum arrives.
std::span<std::byte> GradientSum::room(std::size_t foreign, std::int64_t bucket, std::size_t floats) const {
  if (sent_as_ != DType::bf16) return std::as_writable_bytes(std::span(arrived(foreign, bucket), floats));
  return std::as_writable_bytes(
      std::span(bf16_bucket(arriving_bf16_, foreign_.size(), foreign, bucket), floats));
}

// The message with these values. `place` numbers the messages of a bucket.
std::span<const std::byte> GradientSum::message(const float* values, std::size_t floats, std::size_t place,
                                                std::int64_t bucket) const {
  if (sent_as_ != DType::bf16) return std::as_bytes(std::span(values, floats));
  const std::size_t places = sums_.size() * static_cast<std::size_t>(ranks_.size() - 1);
  bf16* leaving = bf16_bucket(leaving_bf16_, places, place, bucket);
  kernels().narrow(leaving, values, static_cast<std::int64_t>(floats));
  return std::as_bytes(std::span(leaving, floats));
}

GradientSum::Messages GradientSum::start_bucket(std::int64_t number) {
  Messages messages;
  const auto size = static_cast<std::size_t>(bucket_of(ranks_.rank(), number).size());
  for (std::size_t i = 0; size > 0 && i < foreign_.size(); ++i)
    messages.receives.push_back(ranks_.start_receive(foreign_[i].rank, room(i, number, size)));
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const Share theirs = bucket_of(rank, number);
    if (rank == ranks_.rank() || theirs.size() == 0) continue;
    for (const Sum& sum : sums_) {
      messages.sends.push_back(
          ranks_.start_send(rank, message(sum.data + theirs.begin, static_cast<std::size_t>(theirs.size()),
                                          messages.sends.size(), number)));
    }
  }
  return messages;
}

void GradientSum::finish_bucket(std::int64_t number, const Messages& messages, float* out) {
  for (const Ranks::Transfer transfer : messages.receives) ranks_.wait(transfer);
  const Share mine = bucket_of(ranks_.rank(), number);
  for (std::size_t foreign = 0; sent_as_ == DType::bf16 && foreign < foreign_.size(); ++foreign) {
    const bf16* from = bf16_bucket(arriving_bf16_, foreign_.size(), foreign, number);
    std::transform(from, from + mine.size(), arrived(foreign, number), to_float);
  }
  parallel_for(mine.size(), kAddFloats, [&](std::int64_t begin, std::int64_t end) {
    const float* sum = sum_of({0, parts_}, number, mine.begin + begin, end - begin);
    float* to = out + mine.begin + begin;
    if (sum != to) std::copy(sum, sum + (end - begin), to);
  });
  for (const Ranks::Transfer transfer : messages.sends) ranks_.wait(transfer);
}

// Computes `count` floats of a node's sum, from weight `begin` on, in a bucket of this rank's share. Returns
// where they are: in the memory of the first of the sums that were added.
float* GradientSum::sum_of(PartRange node, std::int64_t bucket, std::int64_t begin, std::int64_t count) {
  for (const Sum& sum : sums_) {
    if (sum.node == node) return sum.data + begin;
  }
  for (std::size_t i = 0; i < foreign_.size(); ++i) {
    if (foreign_[i].node == node)
      return arrived(i, bucket) + (begin - bucket_of(ranks_.rank(), bucket).begin);
  }
  float* left = sum_of({node.begin, middle(node)}, bucket, begin, count);
  const float* right = sum_of({middle(node), node.end}, bucket, begin, count);
  add_to(left, right, count);
  round(left, count);
  return left;
}

}  // namespace inkling
