// How a benchmark is run so that its figures can be trusted on a shared machine.
//
// Speeds drift by factors within minutes, so nothing is compared across time. A row runs in rounds. A round
// measures the machine's roof, then our code, then each peer, every one warmed first; a figure is the median
// over rounds of what one round gave: seconds, the share of that round's roof, the ratio of a peer's time to
// ours. Google Benchmark lists the rows, prints the table and writes the JSON. Libraries that leave threads
// spinning after a call (libgomp, OpenBLAS) are given time to fall asleep before anything else is timed.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace inkling::bench {

struct Peer {
  std::string name;  // with its version
  std::function<void()> run;
};

// What the work is measured by, and which roof bounds it.
struct Work {
  double flops = 0;  // against the roof of fused multiply-adds
  double bytes = 0;  // against memory: the triad's bandwidth, or reading alone
  bool reads_only = false;
};

// Adds a row. `make` sets the data up when the row's turn comes and returns what is timed; peers may be none.
struct Candidates {
  std::function<void()> ours;
  std::vector<Peer> peers;
};
void add_row(const std::string& name, const Work& work, std::function<Candidates()> make);

// Keeps the compiler from leaving out a computation whose result nobody uses.
void keep(double value);

}  // namespace inkling::bench
