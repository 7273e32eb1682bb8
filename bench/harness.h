// Runs benchmarks in a way that gives reliable figures on a shared machine.
//
// Within minutes, the speed of a shared machine can change by a factor of two or more. So figures from
// different times are never compared. A row runs in rounds. Each round measures the machine's peak speed (the
// roof), then our code, then each peer, all after a warm-up. A figure is the median over the rounds: of the
// seconds, of the share of that round's roof, and of the ratio of a peer's time to ours. Threads of some
// libraries (libgomp, OpenBLAS) keep spinning after a call; they get time to fall asleep before anything else
// is timed. PyTorch runs in a process of its own (bench/peers.h).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace inkling::bench {

struct Peer {
  std::string name;  // the library and its version, as in "OpenBLAS 0.3.21"
  std::function<void()> run;
  std::function<double()> seconds = nullptr;  // if set, makes a call and gives its time; else run() is timed
};

// The amount of work, and the roof that limits its speed.
struct Work {
  double flops = 0;   // compared with the peak of fused multiply-adds
  bool bf16 = false;  // if true, compared with the peak of bf16 products, if the table in use has them
  double bytes = 0;   // compared with the bandwidth of the triad, or of reading only
  bool reads_only = false;
};

// Adds a row. `make` is called when the row starts; it prepares the data and returns the functions to time.
// There may be no peers.
struct Candidates {
  std::function<void()> ours;
  std::vector<Peer> peers;
};
void add_row(const std::string& name, const Work& work, std::function<Candidates()> make);

// Adds a section: a benchmark that is not a row. It runs after all rows, prints its own output, and returns
// its part of the JSON.
void add_section(const std::string& name, std::function<nlohmann::ordered_json()> run);

// Keeps only the rows and sections whose names match the regular expression `filter`. UsageError if none
// match.
void keep_matching(const std::string& filter);

// Runs all rows and sections in the order in which they were added, and prints a table with one column for
// each of `peers`. Returns the same figures as JSON.
nlohmann::ordered_json run_all(const std::vector<std::string>& peers);

double median(std::vector<double> values);

// Prevents the compiler from removing a computation whose result is not used.
void keep(double value);

}  // namespace inkling::bench
