#include "core/profile.h"

#include <algorithm>
#include <atomic>

#include "core/memory.h"

namespace inkling {

const char* name(Phase phase) {
  switch (phase) {
    case Phase::data:
      return "data";
    case Phase::forward:
      return "forward";
    case Phase::recomputed:
      return "recomputed";
    case Phase::backward:
      return "backward";
    case Phase::update:
      return "update";
  }
  return "";
}

namespace {

thread_local ProfileScope* open_scope = nullptr;
thread_local bool in_loop = false;

// Threads get their numbers for the profile in the order of their first event.
int thread_number() {
  static std::atomic<int> threads_met{0};
  thread_local const int number = threads_met++;
  return number;
}

double size_of(std::initializer_list<Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& t : tensors) {
    if (t) bytes += static_cast<double>(t.numel() * size_bytes(t.dtype()));
  }
  return bytes;
}

}  // namespace

Work moving(std::initializer_list<Tensor> tensors) {
  return {.bytes = size_of(tensors)};
}

Work multiplying(std::int64_t multiply_adds, std::initializer_list<Tensor> tensors) {
  return {2.0 * static_cast<double>(multiply_adds), size_of(tensors), tensors.begin()->dtype()};
}

Profile::Profile(Loops loops) : origin_(std::chrono::steady_clock::now()), with_loops_(loops == Loops::on) {
  thread_number();
}

std::int64_t Profile::now_ns() const {
  const auto since = std::chrono::steady_clock::now() - origin_;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

void Profile::begin_step(std::int64_t number) {
  ++begun_;
  ProfileStep& step = current();
  step.events.clear();
  step.loops.clear();
  step.number = number;
  step.page_allocations = page_allocations();
  step.begin_ns = now_ns();
  in_step_ = true;
}

const ProfileStep& Profile::end_step() {
  in_step_ = false;
  ProfileStep& step = current();
  step.end_ns = now_ns();
  step.page_allocations = page_allocations() - step.page_allocations;
  return step;
}

std::vector<const ProfileStep*> Profile::kept() const {
  std::vector<const ProfileStep*> steps;
  for (std::int64_t i = std::max<std::int64_t>(0, begun_ - static_cast<std::int64_t>(kKeptSteps)); i < begun_;
       ++i)
    steps.push_back(&steps_[static_cast<std::size_t>(i) % kKeptSteps]);
  return steps;
}

void Profile::add(const ProfileEvent& event) {
  const std::lock_guard<std::mutex> lock(mutex_);
  current().events.push_back(event);
}

ProfileScope::ProfileScope(Profile* profile, Phase phase, const char* name, const Shape& shape,
                           const Work& work, std::int64_t allocated_bytes)
    : profile_(profile) {
  if (profile_ == nullptr) return;
  if (open_scope != nullptr || !profile_->in_step_ || work.in_parts) {
    profile_ = nullptr;
    return;
  }
  open_scope = this;
  event_.name = name;
  event_.phase = phase;
  event_.shape = shape;
  event_.work = work;
  event_.allocated_bytes = allocated_bytes;
  event_.thread = thread_number();
  event_.first_loop = profile_->with_loops_ ? profile_->current().loops.size() : 0;
  event_.begin_ns = profile_->now_ns();
}

void ProfileScope::finish() {
  event_.end_ns = profile_->now_ns();
  event_.loops = profile_->with_loops_ ? profile_->current().loops.size() - event_.first_loop : 0;
  open_scope = nullptr;
  profile_->add(event_);
}

LoopTimer::LoopTimer(std::int64_t chunks) : scope_(open_scope) {
  if (scope_ == nullptr || in_loop || !scope_->profile_->with_loops_) {
    scope_ = nullptr;
    return;
  }
  in_loop = true;
  chunks_ = chunks;
  begin_ns_ = scope_->profile_->now_ns();
}

void LoopTimer::finish() {
  in_loop = false;
  scope_->profile_->current().loops.push_back({chunks_, scope_->profile_->now_ns() - begin_ns_});
}

}  // namespace inkling
