#include "bench/harness.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <map>
#include <regex>
#include <thread>

#include "core/error.h"
#include "ops/roof/roof.h"

namespace inkling::bench {

namespace {

using json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 9;
constexpr int kRoundsOfSlow = 3;  // the number of rounds if a call takes more than a second
constexpr double kWarmSeconds = 0.03;
constexpr double kTimedSeconds = 0.03;
constexpr auto kFallAsleep = std::chrono::milliseconds(60);  // OpenBLAS spins for 2^26 cycles

struct Row {
  std::string name;
  Work work;
  std::function<Candidates()> make;
};
struct Section {
  std::string name;
  std::function<json()> run;
};
std::vector<Row>& rows() {
  static std::vector<Row> all;
  return all;
}
std::vector<Section>& sections() {
  static std::vector<Section> all;
  return all;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Seconds of a call, after a warm-up.
double time_of(const std::function<void()>& call) {
  auto start = Clock::now();
  do call();
  while (seconds_since(start) < kWarmSeconds);
  int calls = 0;
  start = Clock::now();
  do {
    call();
    ++calls;
  } while (seconds_since(start) < kTimedSeconds);
  return seconds_since(start) / calls;
}

// The shortest time that this roof allows for the work.
double bound_seconds(const Work& work, const Roof& roof) {
  if (work.flops == 0) return work.bytes / ((work.reads_only ? roof.read_gbs : roof.triad_gbs) * 1e9);
  return work.flops / ((work.bf16 && roof.bf16_gflops > 0 ? roof.bf16_gflops : roof.fma_gflops) * 1e9);
}

struct Figures {
  double seconds = 0, share_of_roof = 0;
  std::map<std::string, double> ratios;  // a peer's time divided by ours
};

Figures measure(const Row& row) {
  const Candidates candidates = row.make();
  std::vector<double> seconds, share;
  std::vector<std::vector<double>> ratios(candidates.peers.size());
  for (int round = 0; round < (seconds.empty() || seconds[0] < 1.0 ? kRounds : kRoundsOfSlow); ++round) {
    const Roof roof = best_roof();
    const double ours = time_of(candidates.ours);
    seconds.push_back(ours);
    share.push_back(bound_seconds(row.work, roof) / ours);
    for (std::size_t p = 0; p < candidates.peers.size(); ++p) {
      const Peer& peer = candidates.peers[p];
      ratios[p].push_back((peer.seconds ? peer.seconds() : time_of(peer.run)) / ours);
      std::this_thread::sleep_for(kFallAsleep);
    }
  }
  Figures figures{median(seconds), median(share), {}};
  for (std::size_t p = 0; p < candidates.peers.size(); ++p)
    figures.ratios[candidates.peers[p].name] = median(ratios[p]);
  return figures;
}

std::string fixed(double x, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << x;
  return out.str();
}

constexpr int kNameWidth = 48, kPeerWidth = 20;

void print_heading(const std::vector<std::string>& peers) {
  std::cout << std::left << std::setw(kNameWidth) << "row" << std::right << std::setw(12) << "ms"
            << std::setw(15) << "speed" << std::setw(8) << "% roof";
  for (const std::string& peer : peers) std::cout << std::setw(kPeerWidth) << "x " + peer;
  std::cout << "\n"
            << std::string(static_cast<std::size_t>(kNameWidth + 35) + kPeerWidth * peers.size(), '-')
            << std::endl;
}

json print_row(const Row& row, const Figures& f, const std::vector<std::string>& peers) {
  const bool by_flops = row.work.flops > 0;
  const double speed = (by_flops ? row.work.flops : row.work.bytes) / f.seconds * 1e-9;
  std::cout << std::left << std::setw(kNameWidth) << row.name << std::right << std::setw(12)
            << fixed(f.seconds * 1e3, 3) << std::setw(15)
            << (by_flops ? fixed(speed, 0) + " GFLOP/s"
                : speed < 0.1 ? fixed(1e3 * speed, 1) + " MB/s"
                              : fixed(speed, 1) + " GB/s")
            << std::setw(8)
            << fixed(100 * f.share_of_roof, 0);
  for (const std::string& peer : peers) {
    const auto ratio = f.ratios.find(peer);
    std::cout << std::setw(kPeerWidth) << (ratio == f.ratios.end() ? "" : fixed(ratio->second, 2));
  }
  std::cout << std::endl;
  return {{"name", row.name},
          {"ms", f.seconds * 1e3},
          {by_flops ? "gflops" : "gbs", speed},
          {"percent_of_roof", 100 * f.share_of_roof},
          {"ratios", f.ratios}};
}

// The geometric means of the ratios, for each peer and each group. The group is the part of a name before its
// first slash.
class Means {
 public:
  void add(const std::string& name, const Figures& figures) {
    for (const auto& [peer, ratio] : figures.ratios) {
      Sum& sum = sums_[name.substr(0, name.find('/'))][peer];
      sum.logs += std::log(ratio);
      ++sum.count;
    }
  }
  json print() const {
    json all = json::object();
    if (!sums_.empty()) std::cout << "\nGeometric means of the ratios\n";
    for (const auto& [group, peers] : sums_) {
      for (const auto& [peer, sum] : peers) {
        const double mean = std::exp(sum.logs / sum.count);
        all[group][peer] = mean;
        std::cout << "  " << std::left << std::setw(20) << group << std::setw(24) << peer << fixed(mean, 2)
                  << "  (" << sum.count << " rows)\n";
      }
    }
    return all;
  }

 private:
  struct Sum {
    double logs = 0;
    int count = 0;
  };
  std::map<std::string, std::map<std::string, Sum>> sums_;
};

}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void keep(double value) {
  volatile double kept = value;
  static_cast<void>(kept);
}

void add_row(const std::string& name, const Work& work, std::function<Candidates()> make) {
  rows().push_back({name, work, std::move(make)});
}

void add_section(const std::string& name, std::function<json()> run) {
  sections().push_back({name, std::move(run)});
}

void keep_matching(const std::string& filter) {
  std::regex wanted;
  try {
    wanted = filter;
  } catch (const std::regex_error& error) {
    throw UsageError(str("--filter=", filter, ": ", error.what()));
  }
  const auto other = [&](const auto& named) { return !std::regex_search(named.name, wanted); };
  std::erase_if(rows(), other);
  std::erase_if(sections(), other);
  if (rows().empty() && sections().empty())
    throw UsageError(str("--filter=", filter, ": no row or section has such a name"));
}

json run_all(const std::vector<std::string>& peers) {
  json result = {{"rows", json::array()}};
  Means means;
  for (const Row& row : rows()) {
    if (result["rows"].empty()) print_heading(peers);
    const Figures figures = measure(row);
    result["rows"].push_back(print_row(row, figures, peers));
    means.add(row.name, figures);
  }
  result["geometric_means"] = means.print();
  for (const Section& section : sections()) result[section.name] = section.run();
  return result;
}

}  // namespace inkling::bench
