#include "apps/preflight/preflight.h"

#include <algorithm>
#include <utility>

#include "apps/preflight/machine.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "nn/gpt2.h"
#include "ops/attention/attention.h"
#include "optim/adamw.h"

namespace inkling {

namespace {

constexpr std::int64_t kLeastScratch = 1 << 20;  // each thread uses at least this many bytes

void add_calls(std::vector<Preflight::Op>& ops, Phase phase, const std::string& name, std::int64_t calls,
               const Work& work) {
  const auto same = [&](const Preflight::Op& op) {
    return op.phase == phase && op.name == name && op.work.operands == work.operands;
  };
  auto op = std::find_if(ops.begin(), ops.end(), same);
  if (op == ops.end()) op = ops.insert(op, {phase, name, 0, {.operands = work.operands}});
  op->calls += calls;
  op->work.flops += static_cast<double>(calls) * work.flops;
  op->work.bytes += static_cast<double>(calls) * work.bytes;
}

}  // namespace

std::int64_t Preflight::total_bytes() const {
  std::int64_t total = 0;
  for (const Part& part : memory) total += part.bytes;
  return total;
}

Preflight rehearse(const PreflightRequest& request) {
  release_workspaces();
  const std::int64_t program = resident_bytes();
  const Rehearsal rehearsal;
  GPT2 model(request.model);
  model.set_precision(request.precision, Recording::on);
  model.set_recompute(request.recompute);
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});

  const Shape shape{request.batch_size, request.seq_len};
  const auto tokens = static_cast<std::size_t>(shape.numel());
  const Pages token_ids(tokens * sizeof(std::int32_t));  // never read, so they take no memory
  const Tensor ids(reinterpret_cast<std::int32_t*>(token_ids.data()), shape);
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  tape.set_schedule(Schedule::serial);
  profile.begin_step(1);
  const Tensor loss = model.loss(tape, ids, ids);
  const auto activations = static_cast<std::int64_t>(tape.peak_bytes());
  tape.backward(loss);
  const auto with_gradients = static_cast<std::int64_t>(tape.peak_bytes());
  const ProfileStep& step = profile.end_step();
  const std::int64_t workspaces = workspace_bytes();

  Tape validation(Recording::off);
  const Pages losses(tokens * sizeof(float));
  model.token_losses(validation, ids, ids, reinterpret_cast<float*>(losses.data()));
  const KvCache cache(request.model);

  Preflight result;
  const std::int64_t weights = model.parameters().count() * 4;
  const std::int64_t scratch =
      std::max(kLeastScratch, attention_scratch_floats(request.seq_len, request.model.head_size()) *
                                  std::int64_t{sizeof(float)});
  result.memory = {{"weights", weights},
                   {"gradients of weights", weights},
                   {"optimiser state (AdamW)", 2 * weights},
                   {"weights packed in bf16", model.packed_bytes()},
                   {"activations", activations},
                   {"gradients of activations", with_gradients - activations},
                   {"workspaces: logits, packed operands", workspaces},
                   {"scratch of threads", threads() * scratch},
                   {"validation", static_cast<std::int64_t>(validation.peak_bytes())},
                   {"keys and values for samples", cache.size_bytes()},
                   {"the program itself", program}};
  std::erase_if(result.memory, [](const Preflight::Part& part) { return part.bytes == 0; });

  for (const ProfileEvent& event : step.events)
    add_calls(result.ops, event.phase, event.name, request.grad_accum, event.work);
  const double gradient_bytes = static_cast<double>(weights);
  add_calls(result.ops, Phase::update, "gradient norm", 1, {.bytes = gradient_bytes});
  add_calls(result.ops, Phase::update, optimizer.name(), 1,
            {.bytes = optimizer.step_bytes() + static_cast<double>(model.packed_bytes())});
  return result;
}

std::int64_t largest_batch(PreflightRequest request, std::int64_t available_bytes) {
  constexpr std::int64_t kMost = 1 << 20;
  const auto fits = [&](std::int64_t B) {
    request.batch_size = B;
    return rehearse(request).total_bytes() <= available_bytes;
  };
  std::int64_t fit = 0, most = 1;
  while (most <= kMost && fits(most)) fit = std::exchange(most, 2 * most);
  while (fit + 1 < most) {
    const std::int64_t middle = fit + (most - fit) / 2;
    (fits(middle) ? fit : most) = middle;
  }
  return fit;
}

double predicted_token_seconds(const PreflightRequest& request, const Roof& roof) {
  const GPT2Config& c = request.model;
  // A token reads all weights except wpe, of which it reads only one row.
  const auto read = static_cast<double>(c.parameter_count() - c.max_seq_len * c.channels);
  const double bytes = read * (request.precision == Precision::bf16 ? 2 : 4);
  return 1e-9 * bytes / (roof.read_gbs * kReading);
}

}  // namespace inkling
