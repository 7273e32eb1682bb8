#include "core/parallel.h"

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "core/happens_before.h"
#include "core/profile.h"

namespace inkling {

namespace {

// The threads of TBB. By default TBB starts at most as many workers as the machine has cores. A
// global_control allows more, because the tests run 4 threads on 2 cores.
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

// A share of a loop. The chunks of a loop are divided into shares, one share for each thread. A thread takes
// the chunks of its share in order, so it reads memory in order and finds data of the previous loop in its
// caches. When its share is finished, the thread helps with the next share. TBB gets only one task for each
// thread: a task for each chunk would cost 0.3 us per chunk.
struct alignas(64) Share {
  std::atomic<std::int64_t> next;
  std::int64_t end;
};
constexpr std::int64_t kMostShares = 64;
constexpr int kMostThreads = 1024;

}  // namespace

Rehearsal::Rehearsal() {
  rehearsing = true;
}

Rehearsal::~Rehearsal() {
  rehearsing = false;
}

bool Rehearsal::active() {
  return rehearsing.load(std::memory_order_relaxed);
}

int allowed_cpus() {
  return tbb::info::default_concurrency();
}

int hardware_threads(const CgroupLimits& limits) {
  const int cpus = allowed_cpus();
  return limits.cpus && *limits.cpus < cpus ? static_cast<int>(std::ceil(*limits.cpus)) : cpus;
}

int threads() {
  return workers_slot()->arena.max_concurrency();
}

void set_threads(int count) {
  if (count < 1 || count > kMostThreads) fail("threads: got ", count, ", expected 1 to ", kMostThreads);
  if (count == threads()) return;
  workers_slot().reset();
  workers_slot() = std::make_unique<Workers>(count);
}

void detail::run_chunks(std::int64_t chunks, ChunkFn fn, void* context) {
  if (chunks <= 0 || Rehearsal::active()) return;
  const LoopTimer timer(chunks);
  if (chunks == 1 || threads() == 1) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) fn(context, chunk);
    return;
  }
  const std::int64_t takers = std::min<std::int64_t>(chunks, threads());
  const std::int64_t count = std::min(takers, kMostShares);
  std::array<Share, kMostShares> shares;
  for (std::int64_t s = 0; s < count; ++s) {
    shares[static_cast<std::size_t>(s)].next.store(chunks * s / count, std::memory_order_relaxed);
    shares[static_cast<std::size_t>(s)].end = chunks * (s + 1) / count;
  }
  const auto take = [&](std::int64_t taker) {
    const Handed handed(&shares, &shares);
    for (std::int64_t s = 0; s < count; ++s) {
      Share& share = shares[static_cast<std::size_t>((taker + s) % count)];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const std::int64_t chunk = share.next.fetch_add(1, std::memory_order_relaxed);
        if (chunk < share.end) fn(context, chunk);
      }
    }
  };
  // isolate: without it, a thread that waits for the end of this loop could start another op, which could
  // take longer than the loop.
  published(&shares);
  workers_slot()->arena.execute([&] {
    tbb::this_task_arena::isolate(
        [&] { tbb::parallel_for(std::int64_t{0}, takers, take, tbb::simple_partitioner()); });
  });
  observed(&shares);
}

void Tasks::spawn(std::int32_t i) {
  published(tag_of_task(i));
  static_cast<tbb::task_group*>(group_)->run([this, i] {
    const Handed handed(tag_of_task(i), this);
    run_(context_, *this, i);
  });
}

void run_tasks(Tasks::Start start, Tasks::Run run, void* context) {
  published(context);
  workers_slot()->arena.execute([&] {
    tbb::task_group group;
    Tasks tasks(&group, run, context);
    {
      const Handed handed(context, context);
      start(context, tasks);
    }
    group.wait();
    observed(&tasks);
    published(context);
  });
  observed(context);
}

}  // namespace inkling
