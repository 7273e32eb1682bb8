// Simulates a step's tasks on any number of cores: how the graph would scale on larger machines than this
// one.
//
// A task is a node of the graph, or an op that runs before or after backward. Tasks were recorded on one
// thread (core/profile.h), together with their loops. A loop of n chunks is n equal pieces that any core may
// take; the rest of a task is serial. The simulation is a list scheduler. The core that starts a task works
// only on that task until it is finished. A free core starts the first ready task, in the order of the
// recording. If no task is ready, it helps with the first loop that has pieces left.
//
// Limits of the simulation: cores never wait for memory and share no cache, all run as fast as one core
// alone, and the pieces of a loop take equal time. So the result is an upper bound that the graph allows, not
// a prediction.
#pragma once

#include <cstdint>
#include <vector>

namespace inkling::bench {

struct SimulatedLoop {
  std::int64_t chunks;
  double seconds;  // the sum of the times of all chunks
};

struct SimulatedTask {
  double serial_seconds = 0;  // the time outside of loops; simulated before the loops
  std::vector<SimulatedLoop> loops;
  std::vector<std::size_t> successors;  // tasks that wait for this task; their indices are larger
};

struct Overhead {
  double chunk_seconds = 0;  // time to start a chunk
  double loop_seconds = 0;   // additional time of a loop with several chunks
};

// Seconds until the last task has finished.
double simulate(const std::vector<SimulatedTask>& tasks, std::int64_t cores, const Overhead& overhead);

// The time of the same tasks one after another.
std::vector<SimulatedTask> in_order(std::vector<SimulatedTask> tasks);

}  // namespace inkling::bench
