#include "apps/ranks/forecast.h"

#include <algorithm>
#include <string_view>

#include "apps/ranks/shares.h"
#include "core/bf16.h"
#include "core/error.h"
#include "nn/gpt2.h"

namespace inkling {

namespace {

// The exchanges of a few bytes in a step, each of which waits for all ranks: the numbers of counted targets,
// the losses, the squares of the gradient, and whether to stop. With local steps: the losses, and whether to
// stop.
constexpr int kShortExchanges = 4, kShortLocalExchanges = 2;

// An outer step moves this many bytes for each weight: 12 to compute the change, 20 to update the shared
// weights, and 8 to copy them.
constexpr double kOuterBytes = 40;

double seconds_of_buckets(std::int64_t floats, int others, std::int64_t bytes_each, const Network& network) {
  const double buckets = std::max(1.0, static_cast<double>(floats) / static_cast<double>(Bucket::kFloats));
  const double bytes = static_cast<double>(bytes_each * floats * others);
  const double transfer = bytes / buckets / network.bytes_per_second;
  return buckets * std::max(transfer, (transfer + network.latency_seconds) / 2);
}

}  // namespace

RanksForecast forecast(PreflightRequest request, int ranks, const Network& network, const Rounds& rounds) {
  if (request.batch_size % ranks != 0)
    fail("--batch-size is ", request.batch_size, ", expected a multiple of the ", ranks, " ranks");
  request.batch_size /= ranks;
  RanksForecast result{.of_rank = rehearse(request), .micro_batches = request.grad_accum};
  Preflight& of_rank = result.of_rank;

  GPT2 model(request.model);  // only its table is used, so its weights take no memory
  std::int64_t all = 0, share = 0, share_after_backward = 0;
  for (const Share& one : shares_of(cut_segments(segments_of(model.parameters().table())),
                                    layer_ranges(model.parameters()), ranks)
                              .of_rank) {
    all += one.size;
    share = std::max(share, one.size);
    std::int64_t after_backward = 0;
    for (const Bucket& bucket : one.buckets) after_backward += bucket.part == 0 ? bucket.size : 0;
    share_after_backward = std::max(share_after_backward, after_backward);
  }
  const bool local = rounds.local_steps > 0;
  const double once = local ? 1.0 / static_cast<double>(rounds.local_steps) : 1.0;
  const auto bytes_each =
      static_cast<std::int64_t>(local && rounds.sent_as == DType::bf16 ? sizeof(bf16) : sizeof(float));
  if (local) {
    of_rank.memory.push_back({"shared weights, outer velocity", 8 * all});
    if (bytes_each == 2) of_rank.memory.push_back({"mean change in bf16", 2 * all});
    // The outer step runs at the speed of the optimiser.
    for (Preflight::Op& op : of_rank.ops) {
      if (op.phase == Phase::update && op.name == "adamw")
        op.work.bytes += once * kOuterBytes * static_cast<double>(all);
    }
  } else {
    const double part = static_cast<double>(share) / static_cast<double>(all);
    for (Preflight::Part& one : of_rank.memory) {
      if (std::string_view(one.name).starts_with("optimiser state")) one.bytes = one.bytes * share / all;
    }
    for (Preflight::Op& op : of_rank.ops) {
      if (op.phase == Phase::update) op.work.bytes *= part;
    }
  }
  const int others = ranks - 1;
  if (others == 0) return result;
  // Two buckets of each rank: numbers that arrive, as f32 and, if they are sent so, as bf16; messages that
  // leave; messages with weights.
  const std::int64_t arrive = std::int64_t{sizeof(float)} + (bytes_each == 2 ? 2 : 0);
  of_rank.memory.push_back(
      {"messages", 2 * Bucket::kFloats * (others * (arrive + bytes_each) + ranks * bytes_each)});
  result.sent_bytes = once * static_cast<double>(bytes_each * (all - share) + bytes_each * share * others);
  const double one_way = seconds_of_buckets(share, others, bytes_each, network);
  result.network_seconds =
      once * 2 * one_way + (local ? kShortLocalExchanges : kShortExchanges) * network.latency_seconds;
  if (!local)
    result.during_backward_seconds =
        one_way * (1 - static_cast<double>(share_after_backward) / static_cast<double>(share));
  return result;
}

double waiting_seconds(const RanksForecast& forecast, double backward_seconds) {
  const double last = backward_seconds / static_cast<double>(forecast.micro_batches);
  return forecast.network_seconds - std::min(forecast.during_backward_seconds, last);
}

}  // namespace inkling
