// The face of TBB: loops over fixed chunks, and the number of threads.
//
// Work is cut by shape, never by thread count: chunk i always covers the same elements, so whatever a chunk
// computes has the same bits on 1, 2 or 64 threads. A reduction over floats writes one partial result a chunk
// and adds them in order. Thread safety: parallel_for may be called from any thread and nested; set_threads
// only between steps, from the main thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace inkling {

int hardware_threads();
int threads();
void set_threads(int count);  // Error unless 1 <= count <= 1024

namespace detail {
using ChunkFn = void (*)(void* context, std::int64_t chunk);
void run_chunks(std::int64_t chunks, ChunkFn fn, void* context);
}  // namespace detail

inline std::int64_t ceil_div(std::int64_t n, std::int64_t d) {
  return (n + d - 1) / d;
}

// While one lives, loops over chunks do nothing. A rehearsal of a step so goes the way of a real one and asks
// for the same memory, without touching it: it shows in milliseconds what the step would need
// (apps/run/preflight.h). What ops compute outside of loops they compute, on zeros. Made by the main thread,
// between steps.
class Rehearsal {
 public:
  Rehearsal();
  ~Rehearsal();
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;
};

// Calls f(chunk) for chunk = 0 .. chunks-1, each once, in any order and in parallel.
template <class F>
void parallel_chunks(std::int64_t chunks, F&& f) {
  using Fn = std::remove_reference_t<F>;
  detail::run_chunks(
      chunks, [](void* context, std::int64_t chunk) { (*static_cast<Fn*>(context))(chunk); },
      const_cast<std::remove_const_t<Fn>*>(&f));
}

// Calls f(begin, end) for the consecutive ranges of `chunk` elements (the last may be shorter) that make up
// [0, n).
template <class F>
void parallel_for(std::int64_t n, std::int64_t chunk, F&& f) {
  parallel_chunks(ceil_div(n, chunk), [&](std::int64_t i) { f(i * chunk, std::min(n, (i + 1) * chunk)); });
}

// Fills n floats with a value, in parallel.
inline void parallel_fill(float* out, std::int64_t n, float value) {
  constexpr std::int64_t kChunk = 1 << 16;
  parallel_for(n, kChunk,
               [&](std::int64_t begin, std::int64_t end) { std::fill(out + begin, out + end, value); });
}

// Hands tasks to idle threads.
class Tasks {
 public:
  using Start = void (*)(void* context, Tasks& tasks);
  using Run = void (*)(void* context, Tasks& tasks, std::int32_t i);

  void spawn(std::int32_t i);  // some thread will run task i

 private:
  friend void run_tasks(Tasks::Start start, Tasks::Run run, void* context);
  Tasks(void* group, Run run, void* context) : group_(group), run_(run), context_(context) {}

  void* group_;
  Run run_;
  void* context_;
};
void run_tasks(Tasks::Start start, Tasks::Run run, void* context);

// Calls start(tasks), which spawns tasks, and run(tasks, i) for each that is spawned, which may spawn more.
// Returns when all are done.
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
