// The profile: which op ran when, on which thread, for how long, and what it had to do.
//
// A Profile is a recorder. A tape that was given one (Tape::profile_into) opens a ProfileScope for every op:
// forward, where the op says `tape.scope(...)` before it computes; backward, where the graph runs a node.
// Whoever takes the step opens scopes for the rest: data, norm, optimiser. A scope inside another one of the
// same thread is part of that one and records nothing. Without a Profile a scope is one comparison with
// nullptr.
//
// Events are kept for the last few steps, in memory that is used again: recording allocates nothing once it
// is warm. Thread safety: scopes may open and close on any thread; everything else belongs to the thread that
// takes the steps. What the numbers are made into is not known here: apps/run/profile_report.h,
// apps/run/trace.h.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <vector>

#include "core/tensor.h"

namespace inkling {

// What an op has to do, however it does it.
struct Work {
  double flops = 0;
  double bytes = 0;             // of memory that must be read and written at least
  DType operands = DType::f32;  // of the products among the flops
  bool in_parts = false;        // it consists of ops that record themselves: no event of its own
};
Work moving(std::initializer_list<Tensor> tensors);  // reads or writes each once
Work multiplying(std::int64_t multiply_adds,
                 std::initializer_list<Tensor> tensors);  // the first is an operand

enum class Phase : std::uint8_t { data, forward, recomputed, backward, update };
const char* name(Phase phase);

// A loop over chunks that an op ran (core/parallel.h).
struct ProfileLoop {
  std::int64_t chunks;
  std::int64_t ns;
};

struct ProfileEvent {
  const char* name = "";  // lives as long as the program
  Phase phase = Phase::data;
  Shape shape;  // of the op's result
  Work work;
  int thread = 0;  // 0 takes the steps
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t allocated_bytes = 0;       // of the tape's memory
  std::int32_t node = -1;                 // of the graph, backward only
  std::size_t first_loop = 0, loops = 0;  // in ProfileStep::loops, when loops are recorded
};

struct ProfileStep {
  std::int64_t number = 0;
  std::int64_t begin_ns = 0, end_ns = 0;
  // What was asked of the system (core/memory.h): none in the steady state.
  std::int64_t page_allocations = 0;
  std::vector<ProfileEvent> events;  // in the order in which they ended
  std::vector<ProfileLoop> loops;
};

class Profile {
 public:
  static constexpr std::size_t kKeptSteps = 3;

  enum class Loops { off, on };  // on: only with one thread, or loops of several ops would be mixed up
  explicit Profile(Loops loops = Loops::off);
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  // Events outside a step are not recorded.
  void begin_step(std::int64_t number);
  const ProfileStep& end_step();

  std::vector<const ProfileStep*> kept() const;  // the last steps, oldest first

 private:
  friend class ProfileScope;
  friend class LoopTimer;

  std::int64_t now_ns() const;
  ProfileStep& current() { return steps_[static_cast<std::size_t>(begun_ - 1) % kKeptSteps]; }
  void add(const ProfileEvent& event);

  std::chrono::steady_clock::time_point origin_;
  bool with_loops_;
  std::mutex mutex_;  // guards the current step
  std::array<ProfileStep, kKeptSteps> steps_;
  std::int64_t begun_ = 0;  // steps begun
  bool in_step_ = false;
};

// An event, from construction to the end of the scope.
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

// Tells the scope open on this thread, if it wants to know, of a loop that runs from here to the end of this
// scope.
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
