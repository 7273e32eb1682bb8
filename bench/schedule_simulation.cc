#include "bench/schedule_simulation.h"

#include <queue>
#include <set>

namespace inkling::bench {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class Simulation {
 public:
  Simulation(const std::vector<SimulatedTask>& tasks, std::int64_t cores, const Overhead& overhead)
      : tasks_(tasks), overhead_(overhead), states_(tasks.size()), cores_(static_cast<std::size_t>(cores)) {
    for (const SimulatedTask& task : tasks) {
      for (const std::size_t s : task.successors) ++states_[s].predecessors;
    }
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      if (states_[t].predecessors == 0) ready_.insert(t);
    }
  }

  double run() {
    hand_out_work();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      cores_[event.core].busy = false;
      if (!event.chunk || --states_[event.task].unfinished == 0) next_loop(event.task);
      hand_out_work();
    }
    return now_;
  }

 private:
  struct State {
    std::int64_t predecessors = 0;
    std::size_t owner = kNone;  // the core that started the task
    std::size_t loops_begun = 0;
    std::int64_t untaken = 0, unfinished = 0;  // numbers of chunks of the current loop
  };
  struct Core {
    std::size_t owned = kNone;  // the task that the core started and has not finished
    bool busy = false;
  };
  struct Event {  // a core has finished a chunk, or the serial part, of a task
    double at;
    std::size_t core, task;
    bool chunk;
    bool operator<(const Event& other) const {
      return at > other.at;
    }  // the top of the queue is the earliest event
  };

  void hand_out_work() {
    for (std::size_t c = 0; c < cores_.size(); ++c) {  // first, cores continue the tasks that they own
      const std::size_t owned = cores_[c].owned;
      if (!cores_[c].busy && owned != kNone && states_[owned].untaken > 0) take_chunk(c, owned);
    }
    for (std::size_t c = 0; c < cores_.size(); ++c) {
      if (cores_[c].busy || cores_[c].owned != kNone) continue;
      if (!ready_.empty()) {
        begin(c, ready_.extract(ready_.begin()).value());
      } else if (!helpable_.empty()) {
        take_chunk(c, *helpable_.begin());
      }
    }
  }

  void begin(std::size_t core, std::size_t task) {
    cores_[core] = {task, true};
    states_[task].owner = core;
    events_.push({now_ + tasks_[task].serial_seconds, core, task, false});
  }

  void take_chunk(std::size_t core, std::size_t task) {
    State& state = states_[task];
    const SimulatedLoop& loop = tasks_[task].loops[state.loops_begun - 1];
    double seconds = loop.seconds / static_cast<double>(loop.chunks);
    if (loop.chunks > 1) {
      seconds += overhead_.chunk_seconds;
      if (state.untaken == loop.chunks) seconds += overhead_.loop_seconds;
    }
    if (--state.untaken == 0) helpable_.erase(task);
    cores_[core].busy = true;
    events_.push({now_ + seconds, core, task, true});
  }

  void next_loop(std::size_t task) {
    State& state = states_[task];
    if (state.loops_begun < tasks_[task].loops.size()) {
      state.untaken = state.unfinished = tasks_[task].loops[state.loops_begun++].chunks;
      helpable_.insert(task);
      return;
    }
    cores_[state.owner].owned = kNone;
    for (const std::size_t s : tasks_[task].successors) {
      if (--states_[s].predecessors == 0) ready_.insert(s);
    }
  }

  const std::vector<SimulatedTask>& tasks_;
  Overhead overhead_;
  std::vector<State> states_;
  std::vector<Core> cores_;
  std::set<std::size_t> ready_;     // tasks that may start
  std::set<std::size_t> helpable_;  // tasks with chunks that no core has taken
  std::priority_queue<Event> events_;
  double now_ = 0;
};

}  // namespace

double simulate(const std::vector<SimulatedTask>& tasks, std::int64_t cores, const Overhead& overhead) {
  return Simulation(tasks, cores, overhead).run();
}

std::vector<SimulatedTask> in_order(std::vector<SimulatedTask> tasks) {
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    tasks[t].successors.clear();
    if (t + 1 < tasks.size()) tasks[t].successors.push_back(t + 1);
  }
  return tasks;
}

}  // namespace inkling::bench
