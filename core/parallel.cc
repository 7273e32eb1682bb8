#include "core/parallel.h"

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <memory>

#include "core/error.h"
#include "core/profile.h"

namespace inkling {

namespace {

// TBB starts no more workers than the machine has cores unless a global_control allows it: tests run 4
// threads on 2 cores.
struct Workers {
  explicit Workers(int count)
      : control(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(count)),
        arena(count) {}
  tbb::global_control control;
  tbb::task_arena arena;
};

std::unique_ptr<Workers>& workers_slot() {
  static std::unique_ptr<Workers> workers = std::make_unique<Workers>(hardware_threads());
  return workers;
}

std::atomic<bool> rehearsing{false};

}  // namespace

Rehearsal::Rehearsal() {
  rehearsing = true;
}

Rehearsal::~Rehearsal() {
  rehearsing = false;
}

int hardware_threads() {
  return tbb::info::default_concurrency();
}

int threads() {
  return workers_slot()->arena.max_concurrency();
}

void set_threads(int count) {
  if (count < 1 || count > 1024) fail("threads: got ", count, ", expected 1 to 1024");
  if (count == threads()) return;
  workers_slot().reset();
  workers_slot() = std::make_unique<Workers>(count);
}

void detail::run_in_arena(TaskFn fn, void* context) {
  workers_slot()->arena.execute([&] { fn(context); });
}

void detail::run_chunks(std::int64_t chunks, ChunkFn fn, void* context) {
  if (chunks <= 0 || rehearsing.load(std::memory_order_relaxed)) return;
  const LoopTimer timer(chunks);
  if (chunks == 1 || threads() == 1) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) fn(context, chunk);
    return;
  }
  // isolate: a thread that waits for this loop must not pick up another op, which could last longer than the
  // loop.
  workers_slot()->arena.execute([&] {
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(
          std::int64_t{0}, chunks, [&](std::int64_t chunk) { fn(context, chunk); },
          tbb::simple_partitioner());
    });
  });
}

void parallel_fill(float* out, std::int64_t n, float value) {
  constexpr std::int64_t kChunk = 1 << 16;
  parallel_for(n, kChunk,
               [&](std::int64_t begin, std::int64_t end) { std::fill(out + begin, out + end, value); });
}

}  // namespace inkling
