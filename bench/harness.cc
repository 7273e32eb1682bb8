#include "bench/harness.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "ops/roof.h"

namespace inkling::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 9;
constexpr int kRoundsOfSlow = 3;  // of work that takes over a second a call
constexpr double kWarmSeconds = 0.03;
constexpr double kTimedSeconds = 0.03;
constexpr auto kFallAsleep = std::chrono::milliseconds(60);  // OpenBLAS spins for 2^26 cycles

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Seconds a call, after warming up.
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

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void run_row(benchmark::State& state, const Work& work, const std::function<Candidates()>& make) {
  const Candidates candidates = make();
  std::vector<double> seconds, share;
  std::vector<std::vector<double>> ratios(candidates.peers.size());
  for (auto _ : state) {
    for (int round = 0; round < (seconds.empty() || seconds[0] < 1.0 ? kRounds : kRoundsOfSlow); ++round) {
      const Roof roof = best_roof();
      const double ours = time_of(candidates.ours);
      seconds.push_back(ours);
      const double bound = work.flops > 0
                               ? work.flops / (roof.fma_gflops * 1e9)
                               : work.bytes / ((work.reads_only ? roof.read_gbs : roof.triad_gbs) * 1e9);
      share.push_back(bound / ours);
      for (std::size_t p = 0; p < candidates.peers.size(); ++p) {
        ratios[p].push_back(time_of(candidates.peers[p].run) / ours);
        std::this_thread::sleep_for(kFallAsleep);
      }
    }
    state.SetIterationTime(median(seconds));
  }
  const double s = median(seconds);
  if (work.flops > 0) {
    state.counters["GFLOP/s"] = work.flops / s * 1e-9;
  } else {
    state.counters["GB/s"] = work.bytes / s * 1e-9;
  }
  state.counters["%roof"] = 100.0 * median(share);
  for (std::size_t p = 0; p < candidates.peers.size(); ++p)
    state.counters["x " + candidates.peers[p].name] = median(ratios[p]);
}

}  // namespace

void keep(double value) {
  benchmark::DoNotOptimize(value);
}

void add_row(const std::string& name, const Work& work, std::function<Candidates()> make) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [work, make](benchmark::State& state) { run_row(state, work, make); })
      ->UseManualTime()
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace inkling::bench
