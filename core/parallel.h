// The interface to TBB (oneTBB, a library for threads): parallel loops over fixed chunks, and the number of
// threads.
//
// Work is cut into chunks by its shape, never by the number of threads: chunk i always covers the same
// elements, so its result has the same bits on 1, 2 or 64 threads. A sum of floats computes one partial sum
// for each chunk and adds the partial sums in order. Thread safety: parallel_for may be called from any
// thread and may be nested; set_threads may be called only between steps, from the main thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "core/cgroup.h"

namespace inkling {

int allowed_cpus();  // the CPUs that the system lets this process run on (its affinity)
// The default number of threads: allowed_cpus(), or the CPU quota of the control group, rounded up, if that
// is less. More threads than a quota would be stopped for a part of every period.
int hardware_threads(const CgroupLimits& limits = cgroup_limits());
int threads();
void set_threads(int count);  // Error unless 1 <= count <= 1024

namespace detail {
using ChunkFn = void (*)(void* context, std::int64_t chunk);
void run_chunks(std::int64_t chunks, ChunkFn fn, void* context);
}  // namespace detail

inline std::int64_t ceil_div(std::int64_t n, std::int64_t d) {
  return (n + d - 1) / d;
}

// While a Rehearsal object exists, loops over chunks do nothing. So a training step allocates the same memory
// as a real step without touching it, and shows within milliseconds how much memory the step needs
// (apps/preflight/preflight.h). Code outside of loops over chunks still runs, on zeros. Create a Rehearsal on
// the main thread, between steps.
class Rehearsal {
 public:
  Rehearsal();
  ~Rehearsal();
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;

  static bool active();  // whether an object exists
};

// Calls f(chunk) once for each chunk = 0 .. chunks-1, in any order and in parallel.
template <class F>
void parallel_chunks(std::int64_t chunks, F&& f) {
  using Fn = std::remove_reference_t<F>;
  detail::run_chunks(
      chunks, [](void* context, std::int64_t chunk) { (*static_cast<Fn*>(context))(chunk); },
      const_cast<std::remove_const_t<Fn>*>(&f));
}

// Cuts [0, n) into consecutive ranges of `chunk` elements (the last range may be shorter) and calls f(begin,
// end) for each range, in parallel.
template <class F>
void parallel_for(std::int64_t n, std::int64_t chunk, F&& f) {
  parallel_chunks(ceil_div(n, chunk), [&](std::int64_t i) { f(i * chunk, std::min(n, (i + 1) * chunk)); });
}

// Sets n numbers to a value, in parallel.
template <class T>
void parallel_fill(T* out, std::int64_t n, T value) {
  constexpr std::int64_t kChunkBytes = 1 << 18;
  parallel_for(n, kChunkBytes / std::int64_t{sizeof(T)},
               [&](std::int64_t begin, std::int64_t end) { std::fill(out + begin, out + end, value); });
}

// The interface through which a task of run_tasks() starts other tasks.
class Tasks {
 public:
  using Start = void (*)(void* context, Tasks& tasks);
  using Run = void (*)(void* context, Tasks& tasks, std::int32_t i);

  void spawn(std::int32_t i);  // starts task i, on any thread

 private:
  friend void run_tasks(Tasks::Start start, Tasks::Run run, void* context);
  Tasks(void* group, Run run, void* context) : group_(group), run_(run), context_(context) {}

  void* group_;
  Run run_;
  void* context_;
};
void run_tasks(Tasks::Start start, Tasks::Run run, void* context);

// Runs tasks that start other tasks. Calls start(tasks), which spawns the first tasks. Calls run(tasks, i)
// for each task i; run() may spawn more tasks. Returns when all tasks have finished.
template <class Start, class Run>
void run_tasks(Start&& start, Run&& run) {
  struct Both {
    std::remove_reference_t<Start>& start;
    std::remove_reference_t<Run>& run;
  } both{start, run};
  run_tasks([](void* context, Tasks& tasks) { static_cast<Both*>(context)->start(tasks); },
            [](void* context, Tasks& tasks, std::int32_t i) { static_cast<Both*>(context)->run(tasks, i); },
            &both);
}

}  // namespace inkling
