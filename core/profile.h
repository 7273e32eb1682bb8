// The profile: it records when each op ran, on which thread, for how long, and how much it computed.
//
// A tape that has a Profile (Tape::profile_into) opens a ProfileScope for every op: in forward, the op calls
// `tape.scope(...)` before it computes; in backward, the graph opens a scope when it runs a node. The
// training loop opens scopes for all other work: data, gradient norm, optimiser. A scope inside another scope
// of the same thread is part of the outer scope and records nothing. Without a Profile, a scope costs one
// comparison with nullptr.
//
// The profile keeps the events of the last few steps and reuses their memory, so after the first steps
// recording allocates nothing. Thread safety: scopes may open and close on any thread; all other calls come
// from the training thread. apps/run/profile_report.h and apps/run/trace.h turn the events into a table and a
// time line.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <vector>

#include "core/tensor.h"

namespace inkling {

// Work: how many operations an op computes and how many bytes it moves. Both depend on the mathematics, not
// on the implementation.
struct Work {
  double flops = 0;
  double bytes = 0;             // the minimum number of bytes that must be read and written
  DType operands = DType::f32;  // the dtype of the factors, if the flops are matrix products
  bool in_parts = false;        // true for an op that calls other ops: only the other ops record events
};
Work moving(std::initializer_list<Tensor> tensors);  // for an op that reads or writes each tensor once
Work multiplying(std::int64_t multiply_adds,
                 std::initializer_list<Tensor> tensors);  // the first tensor is a factor: it gives `operands`

enum class Phase : std::uint8_t { data, forward, recomputed, backward, update };
const char* name(Phase phase);

// A loop over chunks that an op ran (core/parallel.h).
struct ProfileLoop {
  std::int64_t chunks;
  std::int64_t ns;
};

struct ProfileEvent {
  const char* name = "";  // the op's name, a string literal
  Phase phase = Phase::data;
  Shape shape;  // the shape of the op's result
  Work work;
  int thread = 0;  // the number of the thread; 0 is the training thread
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t allocated_bytes = 0;       // bytes taken from the tape's memory during the event
  std::int32_t node = -1;                 // the node's index in the graph, only in backward
  std::size_t first_loop = 0, loops = 0;  // the op's part of ProfileStep::loops, if loops are recorded
};

struct ProfileStep {
  std::int64_t number = 0;
  std::int64_t begin_ns = 0, end_ns = 0;
  // The number of blocks of memory that were requested from the operating system (core/memory.h). It is 0
  // after the first steps.
  std::int64_t page_allocations = 0;
  std::vector<ProfileEvent> events;  // the events, sorted by the time at which they ended
  std::vector<ProfileLoop> loops;
};

class Profile {
 public:
  static constexpr std::size_t kKeptSteps = 3;

  // `on` is for a benchmark (bench/graph_bench.cc). With it, use one thread: otherwise loops of different ops
  // mix.
  enum class Loops { off, on };
  explicit Profile(Loops loops = Loops::off);
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  // Starts and ends the recording of a step. Events outside a step are not recorded.
  void begin_step(std::int64_t number);
  const ProfileStep& end_step();

  std::vector<const ProfileStep*> kept() const;  // returns the last steps, oldest first

 private:
  friend class ProfileScope;
  friend class LoopTimer;

  std::int64_t now_ns() const;
  ProfileStep& current() { return steps_[static_cast<std::size_t>(begun_ - 1) % kKeptSteps]; }
  void add(const ProfileEvent& event);

  std::chrono::steady_clock::time_point origin_;
  bool with_loops_;
  std::mutex mutex_;  // protects the events of the current step
  std::array<ProfileStep, kKeptSteps> steps_;
  std::int64_t begun_ = 0;  // the number of steps that have begun
  bool in_step_ = false;
};

// A ProfileScope records an event that lasts from the construction to the destruction of the object.
class ProfileScope {
 public:
  ProfileScope(Profile* profile, Phase phase, const char* name, const Shape& shape = {},
               const Work& work = {}, std::int64_t allocated_bytes = 0);
  ~ProfileScope() {
    if (profile_ != nullptr) finish();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

  void allocated(std::int64_t bytes) { event_.allocated_bytes = bytes; }
  void of_node(std::int32_t node) { event_.node = node; }

 private:
  friend class LoopTimer;

  void finish();

  Profile* profile_;
  ProfileEvent event_;
};

// A LoopTimer measures the time of a loop over chunks, from its construction to its destruction. It records
// the time for the profile scope that is open on the same thread, if the profile records loops.
class LoopTimer {
 public:
  explicit LoopTimer(std::int64_t chunks);
  ~LoopTimer() {
    if (scope_ != nullptr) finish();
  }
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;

 private:
  void finish();

  ProfileScope* scope_;
  std::int64_t chunks_ = 0, begin_ns_ = 0;
};

}  // namespace inkling
