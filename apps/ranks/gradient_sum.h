// GradientSum: adds the gradients of all parts of a step, in the order of parts.h, over all ranks.
//
// The sum is divided among the ranks: each rank gets the sum of one share of the weights (a reduce-scatter),
// updates these weights, and then sends them to all other ranks (shares.h). So every rank sends and
// receives about as much as the model has weights, whatever the number of ranks.
//
//   for each part of this rank:  add(part, its gradient)     adds within this rank
//   reduce()                                                 adds over all ranks, one bucket after the other
//
// Two buckets are under way at a time: while one is added, the next one travels. Everything is a message
// between two ranks; MPI never adds.
//
// The sums can be sent in bf16, which halves the bytes. Then each part's gradient, and each sum of the tree,
// is rounded to bf16. So the result has the same bits whether a sum was sent or computed by the same rank.
// Read next: replicated_step.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "apps/ranks/parts.h"
#include "apps/ranks/shares.h"
#include "core/bf16.h"
#include "core/memory.h"
#include "core/ranks/ranks.h"
#include "core/tensor.h"

namespace inkling {

class GradientSum {
 public:
  // `shares` has one share for each rank. `gradients` is the buffer into which backward writes a part's
  // gradient of all weights; it must stay where it is. `sent_as` is f32 or bf16.
  GradientSum(Ranks& ranks, std::int64_t parts, std::span<const Share> shares, std::span<float> gradients,
              DType sent_as = DType::f32);

  PartRange parts() const { return mine_; }

  // Adds the gradient of a part, which is in the buffer `gradients`. The parts of this rank come in order.
  void add(std::int64_t part);

  // Adds over all ranks. Returns the sum: a buffer of all weights, of which only this rank's share is valid.
  // Then the next step can begin with add().
  float* reduce();

 private:
  // The sum of a node of the tree. `memory` is the index of the buffer in memories_, or -1: in gradients_.
  struct Sum {
    PartRange node;
    float* data;  // of all weights
    int memory;
  };
  // A sum of another rank, of which this rank gets its own share.
  struct Foreign {
    int rank;
    PartRange node;
  };
  struct Messages {
    std::vector<Ranks::Transfer> receives, sends;
  };

  int take_memory();
  void round(float* values, std::int64_t n) const;
  std::span<std::byte> room(std::size_t foreign, std::int64_t bucket, std::size_t floats) const;
  std::span<const std::byte> message(const float* values, std::size_t floats, std::size_t place,
                                     std::int64_t bucket) const;
  Messages start_bucket(std::int64_t number);
  void finish_bucket(std::int64_t number, const Messages& messages, float* out);
  float* sum_of(PartRange node, std::int64_t bucket, std::int64_t begin, std::int64_t count);
  float* arrived(std::size_t foreign, std::int64_t bucket) const;
  Share bucket_of(int rank, std::int64_t number) const;

  Ranks& ranks_;
  std::int64_t parts_;
  PartRange mine_;
  std::vector<Share> shares_;
  std::span<float> gradients_;
  DType sent_as_;
  std::vector<Sum> sums_;  // of the parts of this rank that were added
  std::vector<Pages> memories_;
  std::vector<int> free_memories_;
  std::vector<Foreign> foreign_;
  Pages arriving_;  // two buckets of each foreign sum: of the one that is added, and of the next one
  Pages arriving_bf16_, leaving_bf16_;  // the messages of the same buckets, if they are sent in bf16
};

}  // namespace inkling
