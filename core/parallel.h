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
using TaskFn = void (*)(void* context);
void run_in_arena(TaskFn fn, void* context);
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
void parallel_fill(float* out, std::int64_t n, float value);

// Runs f() inside the arena of worker threads, so that what it spawns uses them.
template <class F>
void in_arena(F&& f) {
  using Fn = std::remove_reference_t<F>;
  detail::run_in_arena([](void* context) { (*static_cast<Fn*>(context))(); },
                       const_cast<std::remove_const_t<Fn>*>(&f));
}

}  // namespace inkling
