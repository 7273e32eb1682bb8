// How a benchmark is run so that its figures can be trusted on a shared machine.
//
// Speeds drift by factors within minutes, so nothing is compared across time. A row runs in rounds. A round
// measures the machine's roof, then our code, then each peer, every one warmed first; a figure is the median
// over rounds of what one round gave: seconds, the share of that round's roof, the ratio of a peer's time to
// ours. Libraries that leave threads spinning after a call (libgomp, OpenBLAS) are given time to fall asleep
// before anything else is timed; PyTorch lives in a process of its own (bench/peers.h).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace inkling::bench {

struct Peer {
  std::string name;  // with its version
  std::function<void()> run;
  std::function<double()> seconds =
      nullptr;  // if set, it is asked how long a call took, instead of timing run()
};

// What the work is measured by, and which roof bounds it.
struct Work {
  double flops = 0;   // against the roof of fused multiply-adds,
  bool bf16 = false;  // or that of products of bf16, where the table in use has an instruction for them
  double bytes = 0;   // against memory: the triad's bandwidth, or reading alone
  bool reads_only = false;
};

// Adds a row. `make` sets the data up when the row's turn comes and returns what is timed; peers may be none.
struct Candidates {
  std::function<void()> ours;
  std::vector<Peer> peers;
};
void add_row(const std::string& name, const Work& work, std::function<Candidates()> make);

// Adds a section: something that is not a row. It prints for itself, after all rows, and returns what goes
// into the JSON.
void add_section(const std::string& name, std::function<nlohmann::ordered_json()> run);

// Keeps the rows and sections whose names match the regular expression `filter`; UsageError if there are
// none.
void keep_matching(const std::string& filter);

// Runs every row and section in the order in which they were added, and prints a table with a column for each
// of `peers`. The result is the same as JSON.
nlohmann::ordered_json run_all(const std::vector<std::string>& peers);

double median(std::vector<double> values);

// Keeps the compiler from leaving out a computation whose result nobody uses.
void keep(double value);

}  // namespace inkling::bench
