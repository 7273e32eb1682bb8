// Placement: on which CPUs of which machines the ranks run, and how fast they exchange messages. A run prints
// it at its start, because wrong placement is the most common reason for a slow run on many machines.
#pragma once

#include <string>
#include <vector>

#include "core/ranks/ranks.h"

namespace inkling {

struct RankPlace {
  std::string host;
  int machine_cpus = 1;   // the CPUs of the machine
  std::vector<int> cpus;  // the numbers of the CPUs on which the rank may run
  int threads = 1;
};

// The places of all ranks. `threads` is this rank's number of threads.
std::vector<RankPlace> places_of_all(Ranks& ranks, int threads);

// The default number of threads of a rank: its share of the CPUs that it may use. Ranks that may use the same
// CPU divide it.
int fair_threads(const std::vector<RankPlace>& places, int rank);

// "host a: 2 ranks x 4 threads, each on 4 of 8 CPUs; host b: ...".
std::string placement_text(const std::vector<RankPlace>& places);

// What is wrong with the placement, and the flag that mends it: CPUs without a rank, and more threads than
// CPUs.
std::vector<std::string> placement_faults(const std::vector<RankPlace>& places);

// The bytes for each second that every rank can send to the next rank while it receives as much from the rank
// before it. The slowest rank decides. It sends 32 MiB, which takes 0.3 s at 1 Gbit/s. 0 for one rank.
double measured_bandwidth(Ranks& ranks);

}  // namespace inkling
