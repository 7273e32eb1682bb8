#include "apps/preflight/probe.h"

#include <algorithm>

#include "apps/run/format.h"
#include "apps/run/training_step.h"
#include "core/error.h"
#include "ops/kernels.h"
#include "optim/adamw.h"

namespace inkling {

namespace {

// The work of a step of the miniature. A CPU with an instruction for bf16 products does more work in the same
// time.
constexpr double kFlops = 20e9, kBf16Flops = 60e9;
constexpr std::int64_t kMostVocabulary = 4096, kMostSeqLen = 512, kLeastTokens = 64;
constexpr double kWorthwhile =
    0.9;                   // bf16 rounds more, so it is only used where it saves a tenth of the time
constexpr int kSteps = 3;  // the first step, which gets its memory from the system, does not count

PreflightRequest miniature(PreflightRequest request) {
  GPT2Config& model = request.model;
  model.layers = 1;
  model.vocab_size = std::min(model.vocab_size, kMostVocabulary);
  request.seq_len = std::min(request.seq_len, kMostSeqLen);
  model.max_seq_len = request.seq_len;
  const bool fast_bf16 = request.precision == Precision::bf16 && kernels().bf16_dot_loop != nullptr;
  const auto affordable = static_cast<std::int64_t>((fast_bf16 ? kBf16Flops : kFlops) /
                                                    model.training_flops_per_token(request.seq_len));
  const std::int64_t tokens = std::max(kLeastTokens, affordable);
  request.seq_len = std::min(request.seq_len, tokens);
  request.batch_size = std::clamp(tokens / request.seq_len, std::int64_t{1}, request.batch_size);
  request.grad_accum = 1;
  return request;
}

OpTime& entry(std::vector<OpTime>& ops, const ProfileEvent& event) {
  for (OpTime& op : ops) {
    if (op.phase == event.phase && op.name == event.name && op.operands == event.work.operands) return op;
  }
  return ops.emplace_back(OpTime{event.phase, event.name, event.work.operands, 0, 0, 0});
}

std::vector<OpTime> ops_of(const ProfileStep& step) {
  std::vector<OpTime> ops;
  for (const ProfileEvent& event : step.events) {
    OpTime& op = entry(ops, event);
    op.flops += event.work.flops;
    op.bytes += event.work.bytes;
    op.seconds += 1e-9 * static_cast<double>(event.end_ns - event.begin_ns);
  }
  return ops;
}

double predicted_op_seconds(const Preflight::Op& op, const std::vector<OpTime>& measured) {
  const auto same = [&](const OpTime& time) {
    return time.phase == op.phase && time.name == op.name && time.operands == op.work.operands;
  };
  const auto found = std::find_if(measured.begin(), measured.end(), same);
  if (found == measured.end()) fail("predicted time: ", op.name, " was not measured");
  const double times = found->flops > 0   ? op.work.flops / found->flops
                       : found->bytes > 0 ? op.work.bytes / found->bytes
                                          : 1;
  return times * found->seconds;
}

}  // namespace

std::vector<OpTime> probe(const PreflightRequest& request) {
  const PreflightRequest small = miniature(request);
  GPT2 model(small.model);
  model.initialise(1);
  model.set_precision(small.precision, Recording::on);
  model.set_recompute(small.recompute);
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  const Shape shape{small.batch_size, small.seq_len};
  std::vector<std::int32_t> ids(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<std::int32_t>(i % static_cast<std::size_t>(small.model.vocab_size));
  const MicroBatch batch{Tensor(ids.data(), shape), Tensor(ids.data(), shape)};

  Profile profile;
  Tape tape;
  tape.set_schedule(Schedule::serial);
  tape.profile_into(&profile);
  std::vector<OpTime> best;
  for (int step = 1; step <= kSteps; ++step) {
    profile.begin_step(step);
    training_step(model, optimizer, tape, std::span(&batch, 1), {.step = step, .lr = 1e-4f, .max_norm = 1});
    const std::vector<OpTime> ops = ops_of(profile.end_step());
    if (step <= 2) {
      best = ops;
      continue;
    }
    for (std::size_t i = 0; i < ops.size(); ++i) best[i].seconds = std::min(best[i].seconds, ops[i].seconds);
  }
  return best;
}

double predicted_seconds(const Preflight& preflight, const std::vector<OpTime>& measured) {
  double seconds = 0;
  for (const Preflight::Op& op : preflight.ops) seconds += predicted_op_seconds(op, measured);
  return seconds;
}

double predicted_backward_seconds(const Preflight& preflight, const std::vector<OpTime>& measured) {
  double seconds = 0;
  for (const Preflight::Op& op : preflight.ops) {
    if (op.phase == Phase::backward || op.phase == Phase::recomputed)
      seconds += predicted_op_seconds(op, measured);
  }
  return seconds;
}

PrecisionChoice choose_precision(double f32_seconds, double bf16_seconds) {
  const auto ms = [](double seconds) { return format_fixed(1e3 * seconds, 1) + " ms"; };
  if (bf16_seconds <= kWorthwhile * f32_seconds) {
    return {Precision::bf16, str("a step takes about ", ms(bf16_seconds), ", in f32 ", ms(f32_seconds)),
            bf16_seconds};
  }
  return {Precision::f32, str("a step takes about ", ms(f32_seconds), ", in bf16 ", ms(bf16_seconds)),
          f32_seconds};
}

PrecisionChoice faster_precision(const PreflightRequest& request) {
  const auto seconds = [&](Precision precision) {
    PreflightRequest in = request;
    in.precision = precision;
    return predicted_seconds(rehearse(in), probe(in));
  };
  return choose_precision(seconds(Precision::f32), seconds(Precision::bf16));
}

}  // namespace inkling
