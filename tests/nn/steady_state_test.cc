// A training step in the steady state allocates no memory, neither from the heap nor from the system.
#include "core/parallel.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/allocation_count.h"
#include "tests/nn/golden.h"

namespace inkling {
namespace {

using namespace inkling::test;

void check_steady_state(Precision precision, bool recompute) {
  GPT2 model(GPT2Config{.max_seq_len = 32, .vocab_size = 150, .layers = 2, .heads = 4, .channels = 32});
  model.initialise(1);
  model.set_precision(precision, Recording::on);
  model.set_recompute(recompute);
  std::vector<std::int32_t> ids(4 * 32), targets(4 * 32);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i * 7 % 150);
    targets[i] = static_cast<std::int32_t>(i * 11 % 150);
  }
  AdamW optimizer(segments_of(model.parameters().table()), AdamWSettings{});
  Tape tape;
  Profile profile;
  std::int64_t step = 0;
  const auto train_step = [&] {
    profile.begin_step(step);
    tape.clear();
    const Tensor loss = model.loss(tape, Tensor(ids.data(), {4, 32}), Tensor(targets.data(), {4, 32}));
    tape.backward(loss);
    const std::span<float> gradients = model.parameters().gradients();
    const double norm = global_norm(gradients.data(), std::ssize(gradients));
    optimizer.step(model.parameters().values().data(), gradients.data(), ++step, 1e-3f,
                   clip_factor(norm, 1.0),
                   [&](std::int64_t offset, std::int64_t n) { model.weights_changed(offset, n); });
    profile.end_step();
  };
  CHECK(reaches_steady_state(train_step));
  tape.profile_into(&profile);
  CHECK(reaches_steady_state(train_step));
  CHECK(profile.kept().back()->page_allocations == 0);
}

TEST_CASE(
    "gpt2: after the first steps a training step allocates nothing, in each mode, with and without profile") {
  const RestoreThreads restore;
  for (int count : {1, 2}) {
    set_threads(count);
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      for (const bool recompute : {false, true}) {
        INFO("threads " << count << ", " << name(precision) << (recompute ? ", recomputing" : ""));
        check_steady_state(precision, recompute);
      }
    }
  }
}

}  // namespace
}  // namespace inkling
