// After its first steps, training allocates no memory. A process that has trained for fifty steps, or written
// many tokens, has the same memory as after the first.
#include <unistd.h>

#include <fstream>

#include "apps/run/training_step.h"
#include "core/parallel.h"
#include "nn/generate.h"
#include "optim/adamw.h"
#include "tests/allocation_count.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Resident memory may change by a few pages without a leak, for example for the heap's own lists.
constexpr std::int64_t kSlackBytes = 128 << 10;

const GPT2Config kConfig{.max_seq_len = 32, .vocab_size = 150, .layers = 2, .heads = 4, .channels = 32};

struct Held {
  std::int64_t page_allocations, workspace_bytes, live_bytes, resident_bytes;
};

Held held_now() {
  std::int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return {page_allocations(), workspace_bytes(), live_bytes(), resident * sysconf(_SC_PAGESIZE)};
}

void check_no_growth(const Held& before, const Held& after) {
  CHECK(after.page_allocations == before.page_allocations);
  CHECK(after.workspace_bytes == before.workspace_bytes);
  CHECK(after.live_bytes <= before.live_bytes);
  if (kCountsAllocations) CHECK(after.resident_bytes <= before.resident_bytes + kSlackBytes);
}

// A small model in training: step() trains it on the same batch again.
class Training {
 public:
  Training(Precision precision, bool recompute) {
    model_.initialise(1);
    model_.set_precision(precision, Recording::on);
    model_.set_recompute(recompute);
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      ids_[i] = static_cast<std::int32_t>(i * 7 % 150);
      targets_[i] = static_cast<std::int32_t>(i * 11 % 150);
    }
  }
  void step() {
    const MicroBatch batch{Tensor(ids_.data(), {4, 32}), Tensor(targets_.data(), {4, 32})};
    training_step(model_, optimizer_, tape, std::span(&batch, 1),
                  {.step = ++steps_, .lr = 1e-3f, .max_norm = 1});
  }

  Tape tape;

 private:
  GPT2 model_{kConfig};
  AdamW optimizer_{segments_of(model_.parameters().table()), AdamWSettings{}};
  std::vector<std::int32_t> ids_ = std::vector<std::int32_t>(4 * 32), targets_ = ids_;
  std::int64_t steps_ = 0;
};

// Calls f(precision, recompute) for each way to train.
template <class F>
void for_each_mode(F f) {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    for (const bool recompute : {false, true}) {
      INFO(threads() << " threads, " << name(precision) << (recompute ? ", recomputing" : ""));
      f(precision, recompute);
    }
  }
}

TEST_CASE(
    "memory: after the first steps a training step allocates nothing, in each mode, also with a profile") {
  const RestoreThreads restore;
  for (int count : {1, 2}) {
    set_threads(count);
    for_each_mode([](Precision precision, bool recompute) {
      Training training(precision, recompute);
      Profile profile;
      std::int64_t step = 0;
      const auto profiled_step = [&] {
        profile.begin_step(++step);
        training.step();
        profile.end_step();
      };
      CHECK(reaches_steady_state(profiled_step));
      training.tape.profile_into(&profile);
      CHECK(reaches_steady_state(profiled_step));
      CHECK(profile.kept().back()->page_allocations == 0);
    });
  }
}

TEST_CASE("memory: fifty training steps need no more memory than one, in each mode") {
  const RestoreThreads restore;
  set_threads(1);  // a second thread would allocate its scratch memory at an unpredictable time
  for_each_mode([](Precision precision, bool recompute) {
    Training training(precision, recompute);
    training.step();
    const Held first = held_now();
    const std::size_t peak = training.tape.peak_bytes(), nodes = training.tape.graph().node_count();
    for (int more = 1; more < 50; ++more) training.step();
    check_no_growth(first, held_now());
    CHECK(training.tape.peak_bytes() == peak);
    CHECK(training.tape.graph().node_count() == nodes);
  });
}

TEST_CASE("memory: evaluating fifty batches needs no more memory than evaluating one") {
  const RestoreThreads restore;
  set_threads(1);
  GPT2 model(kConfig);
  model.initialise(1);
  std::vector<std::int32_t> ids(4 * 32, 5);
  const Tensor batch(ids.data(), {4, 32});
  std::vector<float> losses(ids.size());
  Tape tape(Recording::off);
  const auto evaluate = [&] {
    tape.clear();
    model.loss(tape, batch, batch);
    model.token_losses(tape, batch, batch, losses.data());
  };
  evaluate();
  const Held first = held_now();
  const std::size_t peak = tape.peak_bytes();
  for (int more = 1; more < 50; ++more) evaluate();
  check_no_growth(first, held_now());
  CHECK(tape.peak_bytes() == peak);
}

TEST_CASE("memory: generating a long text with many full contexts needs no more memory than a short one") {
  const RestoreThreads restore;
  set_threads(1);
  GPT2 model(kConfig);
  model.initialise(1);
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    INFO("precision " << name(precision));
    model.set_precision(precision, Recording::off);
    GenerateSettings settings;
    settings.max_tokens = 50 * kConfig.max_seq_len / 2;
    std::vector<std::int32_t> prompt = {1, 2, 3};
    std::vector<Rng> rngs = {Rng(1, 0), Rng(1, 1)};
    std::int64_t handed_out = 0;
    Held first{}, last{};
    generate(model, prompt, settings, rngs, [&](std::int64_t, std::int32_t) {
      ++handed_out;
      if (handed_out == 4 * kConfig.max_seq_len)
        first = held_now();  // each text has filled its context more than once
      if (handed_out == 2 * settings.max_tokens) last = held_now();
      return true;
    });
    REQUIRE(handed_out == 2 * settings.max_tokens);
    check_no_growth(first, last);
  }
}

}  // namespace
}  // namespace inkling
