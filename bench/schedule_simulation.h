// Replays a step's tasks on any number of cores: what the graph would gain on machines larger than this one.
//
// A task is a node of the graph, or an op that runs before or after it. It was recorded on one thread
// (core/profile.h), with its loops: a loop of n chunks is n equal pieces that any core may take; the rest of
// the task is serial. The schedule is a list scheduler's: the core that begins a task works on its loops and
// nothing else until it is done; a free core begins the first task that is ready, in the order in which they
// were recorded, or else helps with a loop of the first that has pieces left.
//
// What this is not: cores here never wait for memory or share a cache, all run at the speed of one alone, and
// pieces of a loop are equally long. So it shows what the graph allows, an upper bound of what a machine
// would reach.
#pragma once

#include <cstdint>
#include <vector>

namespace inkling::bench {

struct SimulatedLoop {
  std::int64_t chunks;
  double seconds;  // of all chunks together
};

struct SimulatedTask {
  double serial_seconds = 0;  // outside of loops; they come first
  std::vector<SimulatedLoop> loops;
  std::vector<std::size_t> successors;  // of a greater index
};

struct Overhead {
  double chunk_seconds = 0;  // of handing out a chunk
  double loop_seconds = 0;   // of a loop that has several
};

// Seconds until the last task is done.
double simulate(const std::vector<SimulatedTask>& tasks, std::int64_t cores, const Overhead& overhead);

// The same tasks one after the other.
std::vector<SimulatedTask> in_order(std::vector<SimulatedTask> tasks);

}  // namespace inkling::bench
