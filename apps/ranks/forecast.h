// Forecast: what a training run on several ranks needs, before it starts: the memory of a rank, the bytes
// that it sends in a step, and the time of a step for a given network.
//
// A rank computes its part of the batch, which apps/preflight/preflight.h predicts. The messages follow from
// apps/ranks/shares.h: gradients go out in buckets, two at a time, and so do weights. With N ranks, a bucket
// of b bytes needs t = (N - 1) b / bandwidth. While one bucket is awaited the next one is under way, so a
// bucket takes max(t, (t + latency) / 2). The gradients of all layers, but not of the embeddings, travel
// while the backward pass of the last micro-batch runs. Computing waits for all other messages.
//
// A step of all ranks together updates only a share of the weights on each rank. With local steps
// (apps/ranks/local_steps.h), each rank updates all weights in each step, and the messages and the work of an
// outer step are divided by H.
#pragma once

#include "apps/preflight/preflight.h"
#include "core/tensor.h"

namespace inkling {

struct Network {
  double bytes_per_second = 125e6;  // that a rank can send while it receives as much: 1 Gbit/s
  double latency_seconds = 50e-6;   // from the start of a short message to its arrival
};

struct Rounds {
  std::int64_t local_steps = 0;  // H; 0: the ranks add their gradients in each step
  DType sent_as = DType::f32;
};

struct RanksForecast {
  Preflight of_rank;                   // of the rank with the largest share of the weights
  double sent_bytes = 0;               // by this rank in a step; with local steps the mean over all steps
  double network_seconds = 0;          // of all messages of a step
  double during_backward_seconds = 0;  // of those of them that can travel while backward runs
  std::int64_t micro_batches = 1;      // of a step
};

// `request` is the whole run. Error unless its batch can be divided by `ranks`.
RanksForecast forecast(PreflightRequest request, int ranks, const Network& network,
                       const Rounds& rounds = {});

// The time in a step in which a rank only waits for messages. `backward_seconds` is the time of the backward
// passes of all micro-batches of a step; messages travel while the last one runs.
double waiting_seconds(const RanksForecast& forecast, double backward_seconds);

}  // namespace inkling
