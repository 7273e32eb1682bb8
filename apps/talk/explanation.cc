#include "apps/talk/explanation.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "apps/run/format.h"
#include "apps/text/label_shift.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"

namespace inkling {

namespace {

ExplainedPosition explain_position(std::span<const float> logits, std::int32_t token, std::int32_t target,
                                   std::int64_t top) {
  // log softmax(z)_i = z_i - log sum_j exp(z_j); the largest logit is subtracted so that no exp overflows.
  const auto best = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float z : logits) sum += portable::exp(static_cast<double>(z) - best);
  const double log_sum = best + portable::log(sum);
  const auto loss = [&](std::int32_t id) {
    return log_sum - static_cast<double>(logits[static_cast<std::size_t>(id)]);
  };
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const std::int64_t kept = std::min(top, std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](std::int32_t a, std::int32_t b) {
    const float z_a = logits[static_cast<std::size_t>(a)], z_b = logits[static_cast<std::size_t>(b)];
    return z_a != z_b ? z_a > z_b : a < b;
  });
  ExplainedPosition position{
      .token = token, .target = {target, portable::exp(-loss(target))}, .loss = loss(target), .top = {}};
  for (std::int64_t i = 0; i < kept; ++i) {
    const std::int32_t id = order[static_cast<std::size_t>(i)];
    position.top.push_back({id, portable::exp(-loss(id))});
  }
  return position;
}

}  // namespace

std::vector<ExplainedPosition> explain(GPT2& model, std::span<const std::int32_t> ids, std::int64_t top) {
  const std::int64_t T = std::ssize(ids) - 1, V = model.config().vocab_size;
  if (T < 1)
    fail("explain: the text has ", format_number_of(std::ssize(ids), "token"), ", expected at least 2");
  std::vector<std::int32_t> inputs(ids.begin(), ids.end() - 1);
  Tape tape(Recording::off);
  const Tensor logits = model.logits(tape, Tensor(inputs.data(), {1, T}));  // (1, T, Vp)
  std::vector<ExplainedPosition> positions(inputs.size());
  parallel_chunks(T, [&](std::int64_t t) {
    const std::span row(logits.f32() + t * logits.dim(2), static_cast<std::size_t>(V));
    if (!std::all_of(row.begin(), row.end(), [](float z) { return std::isfinite(z); })) {
      fail("explain: at position ", t,
           ", the scores of the next token are not finite numbers: the model has weights that are too large");
    }
    const auto at = static_cast<std::size_t>(t);
    positions[at] = explain_position(row, ids[at], ids[static_cast<std::size_t>(target_of(t))], top);
    positions[at].context = t + 1;
  });
  return positions;
}

std::vector<ExplainedPosition> explain_in_windows(GPT2& model, std::span<const std::int32_t> ids,
                                                  std::int64_t top, std::int64_t T, std::int64_t stride) {
  if (stride < 1 || stride > T) fail("explain: stride is ", stride, ", expected 1 to T=", T);
  std::vector<ExplainedPosition> all;
  // A window explains the targets that no window before it had.
  for (std::int64_t first = 0; std::ssize(all) < std::ssize(ids) - 1; first += stride) {
    const std::int64_t count = std::min(T, std::ssize(ids) - 1 - first);
    std::vector<ExplainedPosition> window = explain(
        model, ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count + 1)), top);
    const std::int64_t seen = std::ssize(all) - first;
    all.insert(all.end(), std::make_move_iterator(window.begin() + seen),
               std::make_move_iterator(window.end()));
  }
  return all;
}

double mean_loss(std::span<const ExplainedPosition> positions) {
  double sum = 0;
  for (const ExplainedPosition& position : positions) sum += position.loss;
  return sum / static_cast<double>(positions.size());
}

}  // namespace inkling
