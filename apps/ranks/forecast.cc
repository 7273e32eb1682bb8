#include "apps/ranks/forecast.h"

#include <algorithm>
#include <string_view>

#include "apps/ranks/shares.h"
#include "core/error.h"
#include "nn/gpt2.h"

namespace inkling {

namespace {

// The exchanges of a few bytes in a step, each of which waits for all ranks: the numbers of counted targets,
// the losses, the squares of the gradient, and whether to stop.
constexpr int kShortExchanges = 4;

double seconds_of_buckets(std::int64_t floats, int others, const Network& network) {
  const double buckets =
      std::max(1.0, static_cast<double>(floats) / static_cast<double>(Share::kBucketFloats));
  const double bytes = 4.0 * static_cast<double>(floats) * others;
  const double transfer = bytes / buckets / network.bytes_per_second;
  return buckets * std::max(transfer, (transfer + network.latency_seconds) / 2);
}

}  // namespace

RanksForecast forecast(PreflightRequest request, int ranks, const Network& network) {
  if (request.batch_size % ranks != 0)
    fail("--batch-size is ", request.batch_size, ", expected a multiple of the ", ranks, " ranks");
  request.batch_size /= ranks;
  RanksForecast result{.of_rank = rehearse(request)};

  GPT2 model(request.model);  // only its table is used, so its weights take no memory
  std::int64_t all = 0, share = 0;
  for (const Share& one : shares_of(cut_segments(segments_of(model.parameters().table())), ranks)) {
    all += one.size();
    share = std::max(share, one.size());
  }
  for (Preflight::Part& part : result.of_rank.memory) {
    if (std::string_view(part.name).starts_with("optimiser state")) part.bytes = part.bytes * share / all;
  }
  const int others = ranks - 1;
  if (others == 0) return result;
  result.of_rank.memory.push_back(
      {"gradients of other ranks", 2 * others * Share::kBucketFloats * std::int64_t{sizeof(float)}});
  result.sent_bytes = 4.0 * static_cast<double>(all - share) + 4.0 * static_cast<double>(share) * others;
  result.network_seconds =
      2 * seconds_of_buckets(share, others, network) + kShortExchanges * network.latency_seconds;
  return result;
}

}  // namespace inkling
